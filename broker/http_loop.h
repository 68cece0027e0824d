// One thread that serves many HTTP connections without ever waiting for one of them: it gathers the
// head of each request as it comes, has it answered when it is whole, and sends the answer as the
// client takes it. One request a connection. So clients that send or read a byte at a time, or
// nothing, hold a slot in a table for a bounded time and delay nobody.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"

namespace catamaran::broker {

// Open connections; one more closes the oldest.
inline constexpr size_t kHttpConnectionsMax = 512;
// A request's line and headers; more is answered by 431. Bodies are never read.
inline constexpr size_t kHttpHeadBytesMax = 16u << 10;
// From the connection's acceptance to the last byte of the head, and from there to the last byte of
// the answer: then the connection is closed.
inline constexpr Duration kHttpHeadTimeout = std::chrono::seconds(5);
inline constexpr Duration kHttpAnswerTimeout = std::chrono::seconds(10);
// How long the client has to close after the answer; closing first could take it from him.
inline constexpr Duration kHttpLingerTimeout = std::chrono::seconds(1);

class HttpLoop {
 public:
  // A request's head, up to and with the empty line, to the bytes of its whole answer. Called on
  // the loop's thread: it must not block.
  using Answer = std::function<std::string(const std::string& head)>;

  // Listens on `host` (a name or an address) when it returns; port 0 takes a free one.
  // kAddressInUse; kInvalidConfig when the address isn't this machine's.
  static absl::StatusOr<std::unique_ptr<HttpLoop>> Start(const std::string& host, int port,
                                                         Answer answer);
  virtual ~HttpLoop() = default;  // closes every connection, joins
  virtual int port() const = 0;
};

}  // namespace catamaran::broker
