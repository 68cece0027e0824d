// The transport contract over the loopback with threads and over the simulated network.
#include "tests/base/transport_contract.h"

namespace catamaran {
namespace {

INSTANTIATE_TEST_SUITE_P(Each, TransportContractTest, ::testing::ValuesIn(kRuntimes),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace catamaran
