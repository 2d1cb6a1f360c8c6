# `cmake --install`: the program, the backend library, their documentation.

install(TARGETS penstock RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(TARGETS penstock_backend penstock_backend_shared
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/penstock_backend.h include/penstock_backend_libevent.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
configure_file(contrib/cmake/penstock-backend.pc.in
               ${PROJECT_BINARY_DIR}/penstock-backend.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/penstock-backend.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
# The default prefix, as the program looks for it; an operator's own
# configuration is never overwritten.
install(FILES conf/mime.types DESTINATION ${PENSTOCK_PREFIX}/conf)
install(FILES conf/penstock.conf DESTINATION ${PENSTOCK_PREFIX}/conf
        RENAME penstock.conf.default)
install(DIRECTORY DESTINATION ${PENSTOCK_PREFIX}/logs)
install(FILES contrib/demo/index.html contrib/demo/style.css
              contrib/demo/demo.js
        DESTINATION ${PENSTOCK_PREFIX}/html)
install(CODE "
  set(conf \"\$ENV{DESTDIR}${PENSTOCK_PREFIX}/conf/penstock.conf\")
  if(NOT EXISTS \"\${conf}\")
    file(COPY_FILE \"\${conf}.default\" \"\${conf}\")
  endif()")
install(FILES contrib/penstock.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
