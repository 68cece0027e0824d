# Compiler settings that every target shares.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE OFF)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# Invariants stay checked in release builds (base/check.h), so nothing depends on NDEBUG.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")

option(CATAMARAN_TESTS "Build the tests, fuzzers and benchmarks" ON)
option(CATAMARAN_WITH_GRPC "Build everything that links gRPC (off for the thread sanitizer)" ON)
option(CATAMARAN_PCH "Precompile the gRPC and protobuf headers once for all targets" ON)
option(CATAMARAN_FUZZ "Build the fuzzers with libFuzzer (clang only)" OFF)

set(CATAMARAN_SANITIZE "" CACHE STRING "Comma-separated sanitizers, e.g. address,undefined or thread")
# What a sanitized test runs with. gRPC, protobuf and abseil are Debian's shared libraries and not
# instrumented. libstdc++ annotates no containers by default, so a vector that one side grows and the other
# reads is no container overflow; only the one-definition check has to be off, because their inline
# variables exist in both.
set(CATAMARAN_TEST_ENVIRONMENT "")
if(CATAMARAN_SANITIZE)
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -g1")
  add_compile_options(-fsanitize=${CATAMARAN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${CATAMARAN_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # The checks that the sanitizers insert lead GCC 12's flow analysis to warn of paths that don't exist.
    add_compile_options(-Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds
                        -Wno-stringop-overread)
  endif()
  # No detect_stack_use_after_return: GCC 12 places what is aligned to 64 bytes wrongly in its fake stack.
  set(CATAMARAN_TEST_ENVIRONMENT
      "ASAN_OPTIONS=detect_odr_violation=0:detect_stack_use_after_return=0:strict_string_checks=1"
      "LSAN_OPTIONS=suppressions=${CMAKE_CURRENT_LIST_DIR}/lsan.supp:print_suppressions=0"
      "TSAN_OPTIONS=suppressions=${CMAKE_CURRENT_LIST_DIR}/tsan.supp:second_deadlock_stack=1:history_size=4"
      "UBSAN_OPTIONS=print_stacktrace=1")
endif()
if(CATAMARAN_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "CATAMARAN_FUZZ needs clang: use the preset 'fuzz', or CXX=clang++-14")
  endif()
  # Coverage feedback from every library of ours; the fuzzers themselves add the engine when they link.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Paths in debug information and __FILE__ are relative to the root, so that objects are the same whichever
# directory a clone stands in, and a compiler cache serves them all.
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Precompiled headers need the sloppiness settings (ccache manual, "Precompiled headers"). Settings of
  # the user's own environment or ccache.conf stay in force; the directory and the size are ccache's.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
      CCACHE_NOHASHDIR=1
      ${CCACHE_PROGRAM})
endif()

find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers
  -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wthread-safety)
endif()
