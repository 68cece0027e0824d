// One seed, whole: the broker on its machine, clients, faults; a safety phase in which anything may
// break, then a liveness phase in which nothing does and everything must come to its end.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/history.h"
#include "tests/sim/sim_admin.h"
#include "tests/sim/sim_broker.h"
#include "tests/sim/sim_clients.h"
#include "tests/sim/sim_network.h"
#include "tests/sim/sim_plan.h"

namespace catamaran::sim {

struct RunResult {
  std::string violation;  // empty: all is well
  uint64_t trace_hash = 0;
  uint64_t events = 0;
  Duration virtual_time{0};
  uint64_t records_sent = 0;
  uint64_t records_acknowledged = 0;
  uint64_t records_unknown = 0;
  uint64_t records_rejected = 0;
  uint64_t records_fetched = 0;
  uint64_t records_polled = 0;
  Coverage coverage;
  std::vector<std::string> last_trace;  // the last lines, when asked for
};

struct RunOptions {
  bool verbose = false;  // prints every trace line as it comes
  size_t trace_lines_kept = 0;
};

// Deterministic: the same plan gives the same result, trace hash included.
RunResult RunScenario(const Plan& plan, const RunOptions& options);

}  // namespace catamaran::sim
