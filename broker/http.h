// The second port: metrics and probes over HTTP/1.1, on one thread of its own
// (broker/http_loop.h), kept off the data path.
//
//   GET /metrics   Prometheus text
//   GET /livez     200 while the process works at all
//   GET /readyz    200 when it serves: listener open, metadata loaded, not draining; else 503
//   GET /startupz  200 once recovery has ended; else 503
// Bodies say why, a line per check: "[+] metadata: at revision 12" or "[-] storage: ...".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

namespace catamaran::broker {

struct ProbeCheck {
  std::string name;
  bool ok = false;
  std::string detail;
};

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 0;  // 0: any free port
};

// What the server asks, on its thread; thread-safe, and never waiting for a disk.
struct HttpSources {
  absl::AnyInvocable<std::string() const> metrics;
  absl::AnyInvocable<std::vector<ProbeCheck>() const> live;
  absl::AnyInvocable<std::vector<ProbeCheck>() const> ready;
  absl::AnyInvocable<std::vector<ProbeCheck>() const> started;
};

class HttpServer {
 public:
  // Listens when it returns. kAddressInUse; kInvalidConfig when the host isn't ours.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpOptions& options,
                                                           HttpSources sources);
  virtual ~HttpServer() = default;  // stops and joins
  virtual int port() const = 0;
};

}  // namespace catamaran::broker
