# One helper per kind of target; each names its dependencies, so the list of targets is the dependency
# table of the project. tests/tidy holds the include arrows against the folders.

# catamaran_library(NAME name SOURCES a.cc ... [DEPS targets ...] [GRPC])
# GRPC: links gRPC and protobuf and uses their precompiled headers (CatamaranPch.cmake).
function(catamaran_library)
  cmake_parse_arguments(ARG "GRPC" "NAME" "SOURCES;DEPS" ${ARGN})
  add_library(${ARG_NAME} STATIC ${ARG_SOURCES})
  target_include_directories(${ARG_NAME} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${ARG_NAME} PUBLIC ${ARG_DEPS})
  if(ARG_GRPC)
    catamaran_use_grpc_headers(${ARG_NAME})
  endif()
endfunction()

# catamaran_binary(NAME name SOURCES a.cc ... [DEPS targets ...] [GRPC])
function(catamaran_binary)
  cmake_parse_arguments(ARG "GRPC" "NAME" "SOURCES;DEPS" ${ARGN})
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_include_directories(${ARG_NAME} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${ARG_NAME} PRIVATE ${ARG_DEPS})
  if(ARG_GRPC)
    catamaran_use_grpc_headers(${ARG_NAME})
  endif()
endfunction()

# catamaran_test(NAME name SOURCES a_test.cc ... [DEPS targets ...] [GRPC] [TIMEOUT seconds] [LABELS ...])
# One ctest test per binary; links GoogleTest's main. It runs in the root of the source tree.
function(catamaran_test)
  cmake_parse_arguments(ARG "GRPC" "NAME;TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  find_package(GTest REQUIRED)
  catamaran_binary(NAME ${ARG_NAME} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  if(ARG_GRPC)
    catamaran_use_grpc_headers(${ARG_NAME})
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${ARG_NAME} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
                       ENVIRONMENT "${CATAMARAN_TEST_ENVIRONMENT}")
endfunction()

# catamaran_check(NAME name COMMAND command ... [TIMEOUT seconds] [LABELS ...])
# A ctest test that is a script and needs no build of ours. It runs in the root of the source tree.
function(catamaran_check)
  cmake_parse_arguments(ARG "" "NAME;TIMEOUT" "COMMAND;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${ARG_NAME} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
                       ENVIRONMENT "${CATAMARAN_TEST_ENVIRONMENT}")
endfunction()

# catamaran_fuzzer(NAME name SOURCES a_fuzz.cc [DEPS ...] [GRPC]): libFuzzer under CATAMARAN_FUZZ, else a
# plain program and a ctest test that runs the seed corpus tests/fuzz/corpus/<name>/ through the same entry.
# The target catamaran_fuzzers builds them all; fuzzers.txt in the build tree lists "name path" of each.
function(catamaran_fuzzer)
  cmake_parse_arguments(ARG "GRPC" "NAME" "SOURCES;DEPS" ${ARGN})
  if(CATAMARAN_FUZZ)
    catamaran_binary(NAME ${ARG_NAME} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS})
    target_link_options(${ARG_NAME} PRIVATE -fsanitize=fuzzer)
    if(NOT TARGET catamaran_fuzzers)
      add_custom_target(catamaran_fuzzers)
      file(WRITE ${PROJECT_BINARY_DIR}/fuzzers.txt "")
    endif()
    add_dependencies(catamaran_fuzzers ${ARG_NAME})
    file(APPEND ${PROJECT_BINARY_DIR}/fuzzers.txt "${ARG_NAME} ${CMAKE_CURRENT_BINARY_DIR}/${ARG_NAME}\n")
  else()
    catamaran_binary(NAME ${ARG_NAME}
      SOURCES ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus_main.cc DEPS ${ARG_DEPS})
    add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${ARG_NAME})
    set_tests_properties(${ARG_NAME} PROPERTIES TIMEOUT 120 LABELS fuzz
                         ENVIRONMENT "${CATAMARAN_TEST_ENVIRONMENT}")
  endif()
  if(ARG_GRPC)
    catamaran_use_grpc_headers(${ARG_NAME})
  endif()
endfunction()

# Adds a folder that has a CMakeLists.txt.
function(catamaran_add_folder folder)
  if(EXISTS ${PROJECT_SOURCE_DIR}/${folder}/CMakeLists.txt)
    add_subdirectory(${PROJECT_SOURCE_DIR}/${folder})
  endif()
endfunction()
