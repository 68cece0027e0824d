// Connections within one process: tests of what stands above a Transport with real executors, and
// a broker that talks to itself.
#pragma once

#include <memory>

#include "base/transport.h"

namespace catamaran {

// Endpoints are names of this object. Deliveries go straight to the receiver's executor.
std::unique_ptr<Transport> MakeLoopbackTransport(
    size_t send_bytes_max = kConnectionSendBytesMaxDefault);

}  // namespace catamaran
