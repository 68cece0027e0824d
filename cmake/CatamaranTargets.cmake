# One helper per kind of target; each names its dependencies, so the list of targets is the dependency
# table of the project. tests/tidy holds the include arrows against the folders.

# catamaran_library(NAME name SOURCES a.cc ... [DEPS targets ...] [GRPC])
# GRPC: uses the precompiled gRPC and protobuf headers.
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
# One ctest test per binary; links GoogleTest's main.
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
  set_tests_properties(${ARG_NAME} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# catamaran_fuzzer(NAME name SOURCES a_fuzz.cc [DEPS ...]): libFuzzer under CATAMARAN_FUZZ, else a plain
# program and a ctest test that runs the seed corpus tests/fuzz/corpus/<name>/ through the same entry.
function(catamaran_fuzzer)
  cmake_parse_arguments(ARG "GRPC" "NAME" "SOURCES;DEPS" ${ARGN})
  if(CATAMARAN_FUZZ)
    catamaran_binary(NAME ${ARG_NAME} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS})
    target_compile_options(${ARG_NAME} PRIVATE -fsanitize=fuzzer)
    target_link_options(${ARG_NAME} PRIVATE -fsanitize=fuzzer)
  else()
    catamaran_binary(NAME ${ARG_NAME}
      SOURCES ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus_main.cc DEPS ${ARG_DEPS})
    add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${ARG_NAME})
    set_tests_properties(${ARG_NAME} PROPERTIES TIMEOUT 120 LABELS fuzz)
  endif()
  if(ARG_GRPC)
    catamaran_use_grpc_headers(${ARG_NAME})
  endif()
endfunction()

# Compiles the gRPC and protobuf headers once (they cost 6 to 9 s a translation unit).
function(catamaran_use_grpc_headers target)
  if(TARGET catamaran_grpc_pch AND NOT target STREQUAL catamaran_grpc_pch)
    target_precompile_headers(${target} REUSE_FROM catamaran_grpc_pch)
    # A reused header must be compiled with the same definitions.
    target_link_libraries(${target} PRIVATE catamaran_grpc_pch)
  endif()
endfunction()

# Adds a folder that has a CMakeLists.txt.
function(catamaran_add_folder folder)
  if(EXISTS ${PROJECT_SOURCE_DIR}/${folder}/CMakeLists.txt)
    add_subdirectory(${PROJECT_SOURCE_DIR}/${folder})
  endif()
endfunction()
