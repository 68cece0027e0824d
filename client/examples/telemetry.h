// What the connected cars of the example send, and what its two readers make of it. Pure: no
// broker.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/random.h"

namespace catamaran::examples {

// One message of a car, about the stretch driven since its message before.
struct Reading {
  std::string car;      // "car-0042": the record's key
  int64_t time_ms = 0;  // milliseconds since 1970
  int64_t metres = 0;   // driven since the last reading
  int64_t fuel_ml = 0;  // used for it
  int64_t speed_kmh = 0;
  int64_t engine_celsius = 0;
  int64_t tyre_kpa = 0;  // lowest of the four
  bool operator==(const Reading&) const = default;
};

std::string ToJson(const Reading& reading);
// InvalidArgument when `json` isn't a reading.
absl::StatusOr<Reading> FromJson(std::string_view json);

// Cars that drive around: a deterministic stream of readings, `Next()` by `Next()`, from a seed.
class Fleet {
 public:
  Fleet(int cars, uint64_t seed, int64_t start_ms);
  Reading Next();

 private:
  struct Car {
    int64_t engine_celsius = 90;
    int64_t tyre_kpa = 240;
    int64_t ml_per_km = 60;
    bool overheating = false;
    bool leaking = false;
  };
  Random random_;
  std::vector<Car> cars_;
  int64_t time_ms_;
};

// Why this car should be looked at now; nullopt when all is well. The hot path.
std::optional<std::string> NeedsAttention(const Reading& reading);

// What the fleet used, car by car. The cold path.
class FuelTotals {
 public:
  void Add(const Reading& reading);
  int64_t readings() const { return readings_; }
  // "readings 5000, cars 20, 12345.6 km, 789.01 l, 6.39 l/100km": the same for the same readings in
  // whatever order.
  std::string Summary() const;
  // The `count` thirstiest cars, worst first, as lines of text.
  std::vector<std::string> Worst(size_t count) const;

 private:
  struct Sum {
    int64_t metres = 0;
    int64_t fuel_ml = 0;
  };
  int64_t readings_ = 0;
  std::map<std::string, Sum> cars_;
};

}  // namespace catamaran::examples
