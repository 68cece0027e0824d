// The network of the simulated world: the twin of base/transport.h.
//
// Each host gets a Transport; an endpoint is "host" or "host:anything". Links are directed pairs of
// hosts. As with TCP, what a link does to a connection is delay, never loss or reordering: a cut
// link holds messages, for minutes if need be, and releases them when healed; loss is a reset of
// the connection. A Connect over a cut link hangs like any message: whoever waits sets a deadline.
//
//   SimNetwork network(world);
//   auto transport = network.MakeTransport("n1");
//   network.Cut("n1", "n2");  ...  network.Heal("n1", "n2");
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/message_hub.h"
#include "base/transport.h"
#include "tests/sim/sim_executor.h"

namespace catamaran::sim {

struct SimLinkOptions {
  Duration delay_min = std::chrono::microseconds(50);
  Duration delay_max = std::chrono::microseconds(500);
  double spike_probability = 0.001;
  Duration spike = std::chrono::milliseconds(100);
  double reset_probability = 0;  // per message: both ends are told at times of their own
};

enum class SimBreak : uint8_t {
  kReset,     // both ends learn of it
  kHalfOpen,  // only the end on the first host; what the other sends vanishes
};

// On the world's thread only. Outlives its transports and the last run of the world.
class SimNetwork {
 public:
  explicit SimNetwork(World& world, SimLinkOptions defaults = {},
                      size_t send_bytes_max = kConnectionSendBytesMaxDefault);
  ~SimNetwork();

  std::unique_ptr<Transport> MakeTransport(const std::string& host);

  void SetLink(const std::string& from, const std::string& to, const SimLinkOptions& options);
  // One way: nothing gets from `from` to `to` until Heal. Cut both ways with two calls.
  void Cut(const std::string& from, const std::string& to);
  void Heal(const std::string& from, const std::string& to);
  void HealAll();  // also ends clogs
  // Everything sent from now on arrives only after `duration`.
  void Clog(const std::string& from, const std::string& to, Duration duration);
  // Breaks every connection between the two hosts.
  void Break(const std::string& first, const std::string& second, SimBreak how);
  // Power loss: what is under way to or from the host is lost, and nobody is told. Connections of
  // before stay half-open for ever. (When only the process dies its kernel closes them: destroy
  // its objects while the host is up.)
  void TakeDown(const std::string& host);
  void BringUp(const std::string& host);

  uint64_t messages_carried() const;

 private:
  class Hub;
  class HostTransport;
  std::unique_ptr<Hub> hub_;
};

}  // namespace catamaran::sim
