// The one source of the target that owns the precompiled gRPC and protobuf headers.
namespace catamaran {
extern const int kGrpcPrecompiledHeaders;
const int kGrpcPrecompiledHeaders = 1;
}  // namespace catamaran
