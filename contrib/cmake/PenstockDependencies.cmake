# Every outside library, found once, with the Debian package named when it is
# missing.

function(penstock_missing what package)
  message(FATAL_ERROR "${what} not found: install it, e.g. "
                      "`apt-get install ${package}`")
endfunction()

find_package(PkgConfig)
if(NOT PkgConfig_FOUND)
  penstock_missing("pkg-config" pkg-config)
endif()

macro(penstock_find target module package)
  pkg_check_modules(${target} QUIET IMPORTED_TARGET ${module})
  if(NOT ${target}_FOUND)
    penstock_missing("${module}" ${package})
  endif()
endmacro()

penstock_find(LIBEVENT libevent_core libevent-dev)
penstock_find(LIBEVENT_EXTRA libevent_extra libevent-dev)
penstock_find(OPENSSL "openssl>=3.0" libssl-dev)
penstock_find(PCRE2 libpcre2-8 libpcre2-dev)
penstock_find(ZLIB zlib zlib1g-dev)
penstock_find(BROTLI libbrotlienc libbrotli-dev)
penstock_find(CRYPT libcrypt libcrypt-dev)
if(PENSTOCK_TESTS)
  penstock_find(CMOCKA cmocka libcmocka-dev)
endif()

# llhttp: a system library where there is one, else the sources that Debian 12
# installs with node-llhttp, compiled where they lie.  Strict mode decides the
# automaton *and* the header's layout, so the flag is part of the interface.
pkg_check_modules(SYSTEM_LLHTTP QUIET IMPORTED_TARGET libllhttp)
add_library(penstock_llhttp INTERFACE)
if(SYSTEM_LLHTTP_FOUND)
  target_link_libraries(penstock_llhttp INTERFACE PkgConfig::SYSTEM_LLHTTP)
else()
  find_path(LLHTTP_SOURCE_DIR llhttp.c
            PATHS /usr/share/llhttp /usr/share/llhttp/src NO_DEFAULT_PATH)
  find_path(LLHTTP_INCLUDE_DIR llhttp.h
            PATHS /usr/share/include/llhttp /usr/share/llhttp/include
            NO_DEFAULT_PATH)
  if(NOT LLHTTP_SOURCE_DIR OR NOT LLHTTP_INCLUDE_DIR)
    penstock_missing("llhttp" "libllhttp-dev (or node-llhttp on Debian 12)")
  endif()
  file(GLOB LLHTTP_SOURCES ${LLHTTP_SOURCE_DIR}/*.c)
  add_library(llhttp_sources STATIC ${LLHTTP_SOURCES})
  target_include_directories(llhttp_sources SYSTEM
                             PUBLIC ${LLHTTP_INCLUDE_DIR})
  target_compile_options(llhttp_sources PRIVATE -w)
  target_link_libraries(penstock_llhttp INTERFACE llhttp_sources)
endif()
target_compile_definitions(penstock_llhttp INTERFACE LLHTTP_STRICT_MODE=1)
if(TARGET llhttp_sources)
  target_compile_definitions(llhttp_sources PUBLIC LLHTTP_STRICT_MODE=1)
endif()
