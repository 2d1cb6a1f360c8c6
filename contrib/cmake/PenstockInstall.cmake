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
install(FILES conf/mime.types conf/penstock.conf
        DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/penstock)
install(FILES contrib/penstock.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
