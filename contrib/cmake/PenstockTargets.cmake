# How our own code is compiled, and the three kinds of target there are.

add_library(penstock_flags INTERFACE)
target_compile_options(
  penstock_flags
  INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wswitch-enum -Werror
            -Wstrict-prototypes -Wmissing-prototypes -Wvla
            -fno-strict-aliasing -fno-common
            # a struct may begin with another one's members
            -fms-extensions -Wno-microsoft-anon-tag)
target_compile_definitions(penstock_flags INTERFACE _GNU_SOURCE)
target_include_directories(
  penstock_flags INTERFACE ${PROJECT_SOURCE_DIR}/include/penstock
                           ${PROJECT_BINARY_DIR}/include)

if(PENSTOCK_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer
                      -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=address,undefined)
endif()
if(PENSTOCK_FUZZERS)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL Clang)
    message(FATAL_ERROR "PENSTOCK_FUZZERS needs clang "
                        "(apt-get install clang libclang-rt-14-dev)")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# penstock_library(name SOURCES a.c b.c LINK other libraries)
# The library of src/<name>; what it links is what it may include.
function(penstock_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(penstock_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(penstock_${name} PUBLIC penstock_flags)
  foreach(lib ${ARG_LINK})
    target_link_libraries(penstock_${name} PUBLIC ${lib})
  endforeach()
  foreach(lib ${ARG_PRIVATE_LINK})
    target_link_libraries(penstock_${name} PRIVATE ${lib})
  endforeach()
endfunction()

# penstock_unit_test(folder/name LINK penstock_base)
# tests/unit/<folder>/<name>_test.c, linked with its floor and what is below.
function(penstock_unit_test path)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  string(REPLACE "/" "_" target ${path})
  add_executable(unit_${target} ${PROJECT_SOURCE_DIR}/tests/unit/${path}_test.c)
  target_include_directories(unit_${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(unit_${target} PRIVATE penstock_flags ${ARG_LINK}
                                               test_support)
  add_test(NAME unit/${path} COMMAND unit_${target})
  set_tests_properties(unit/${path} PROPERTIES TIMEOUT 120 LABELS unit)
endfunction()

# penstock_fuzzer(name LINK penstock_ws)
# tests/fuzz/<name>_fuzz.c; its corpus is tests/fuzz/corpus/<name>/.
function(penstock_fuzzer name)
  if(NOT PENSTOCK_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(fuzz_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/${name}_fuzz.c)
  target_include_directories(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(fuzz_${name} PRIVATE penstock_flags ${ARG_LINK})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()
