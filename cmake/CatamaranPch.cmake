# The gRPC and protobuf headers, compiled once: they cost 6 to 9 s a translation unit. Every target that is
# declared with GRPC includes them in front of its sources. A reused header needs the flags that it was
# compiled with, so a target with GRPC adds no compile options of its own; GCC says so with -Winvalid-pch,
# and warnings are errors.
if(CATAMARAN_PCH AND NOT CATAMARAN_FUZZ)
  add_library(catamaran_grpc_pch STATIC ${PROJECT_SOURCE_DIR}/cmake/grpc_pch.cc)
  target_include_directories(catamaran_grpc_pch PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(catamaran_grpc_pch PRIVATE gRPC::grpc++ protobuf::libprotobuf)
  target_precompile_headers(catamaran_grpc_pch PRIVATE
    <algorithm> <atomic> <chrono> <cstdint> <deque> <functional> <map> <memory> <optional> <string>
    <string_view> <utility> <variant> <vector>
    <google/protobuf/arena.h>
    <google/protobuf/generated_message_reflection.h>
    <google/protobuf/map_field.h>
    <google/protobuf/message.h>
    <google/protobuf/repeated_field.h>
    <grpcpp/grpcpp.h>
    <grpcpp/support/client_callback.h>
    <grpcpp/support/server_callback.h>
    <absl/container/flat_hash_map.h>
    <absl/functional/any_invocable.h>
    <absl/status/statusor.h>
    <absl/strings/str_cat.h>)
endif()

# Links gRPC and protobuf, through the precompiled headers where they are on.
function(catamaran_use_grpc_headers target)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    target_link_libraries(${target} PRIVATE gRPC::grpc++ protobuf::libprotobuf)
  else()
    target_link_libraries(${target} PUBLIC gRPC::grpc++ protobuf::libprotobuf)
  endif()
  if(TARGET catamaran_grpc_pch)
    target_precompile_headers(${target} REUSE_FROM catamaran_grpc_pch)
  endif()
endfunction()
