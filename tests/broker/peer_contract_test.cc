// The transport contract (tests/base/transport_contract.h) over gRPC.
#include "tests/base/transport_contract.h"
#include "tests/broker/peer_runtime.h"

namespace catamaran {
namespace {

INSTANTIATE_TEST_SUITE_P(Peers, TransportContractTest,
                         ::testing::Values(RuntimeChoice{
                             "Grpc", [] { return std::make_unique<broker::PeerRuntime>(); }}),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace catamaran
