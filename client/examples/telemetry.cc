#include "client/examples/telemetry.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace catamaran::examples {
namespace {

constexpr int64_t kEngineCelsiusMax = 115;
constexpr int64_t kTyreKpaMin = 190;
constexpr int64_t kReadingIntervalMs = 10;  // between two readings of the fleet

double LitresPer100Km(int64_t fuel_ml, int64_t metres) {
  return metres == 0 ? 0.0 : static_cast<double>(fuel_ml) / static_cast<double>(metres) * 100.0;
}

}  // namespace

std::string ToJson(const Reading& reading) {
  return nlohmann::json{{"car", reading.car},
                        {"time_ms", reading.time_ms},
                        {"metres", reading.metres},
                        {"fuel_ml", reading.fuel_ml},
                        {"speed_kmh", reading.speed_kmh},
                        {"engine_celsius", reading.engine_celsius},
                        {"tyre_kpa", reading.tyre_kpa}}
      .dump();
}

absl::StatusOr<Reading> FromJson(std::string_view json) {
  // The non-throwing form: a damaged message gives a discarded value.
  nlohmann::json value = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) return absl::InvalidArgumentError("not a JSON object");
  Reading reading;
  auto car = value.find("car");
  if (car == value.end() || !car->is_string()) {
    return absl::InvalidArgumentError("a reading needs the text field \"car\"");
  }
  reading.car = car->get<std::string>();
  const std::pair<const char*, int64_t*> numbers[] = {
      {"time_ms", &reading.time_ms},   {"metres", &reading.metres},
      {"fuel_ml", &reading.fuel_ml},   {"speed_kmh", &reading.speed_kmh},
      {"tyre_kpa", &reading.tyre_kpa}, {"engine_celsius", &reading.engine_celsius}};
  for (const auto& [name, target] : numbers) {
    auto field = value.find(name);
    if (field == value.end() || !field->is_number_integer()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("a reading needs the whole number \"%s\"", name));
    }
    *target = field->get<int64_t>();
  }
  return reading;
}

Fleet::Fleet(int cars, uint64_t seed, int64_t start_ms)
    : random_(seed), cars_(static_cast<size_t>(cars)), time_ms_(start_ms) {
  for (Car& car : cars_) car.ml_per_km = random_.Between(45, 95);
}

Reading Fleet::Next() {
  size_t index = random_.Below(cars_.size());
  Car& car = cars_[index];
  // Now and then something breaks, and is mended when it got bad enough to be seen.
  if (random_.OneIn(400)) car.overheating = true;
  if (random_.OneIn(400)) car.leaking = true;
  car.engine_celsius += car.overheating ? random_.Between(3, 9) : random_.Between(-2, 2);
  car.tyre_kpa -= car.leaking ? random_.Between(5, 15) : 0;
  if (!car.overheating) car.engine_celsius = std::clamp<int64_t>(car.engine_celsius, 80, 100);

  Reading reading;
  reading.car = absl::StrFormat("car-%04d", index);
  reading.time_ms = time_ms_;
  reading.speed_kmh = random_.Between(20, 130);
  reading.metres = random_.Between(200, 2000);
  reading.fuel_ml = reading.metres * car.ml_per_km / 1000 + random_.Between(0, 10);
  reading.engine_celsius = car.engine_celsius;
  reading.tyre_kpa = car.tyre_kpa;
  time_ms_ += kReadingIntervalMs;
  if (NeedsAttention(reading).has_value()) {
    car.overheating = car.leaking = false;
    car.engine_celsius = 90;
    car.tyre_kpa = 240;
  }
  return reading;
}

std::optional<std::string> NeedsAttention(const Reading& reading) {
  if (reading.engine_celsius > kEngineCelsiusMax) {
    return absl::StrFormat("engine at %d C", reading.engine_celsius);
  }
  if (reading.tyre_kpa < kTyreKpaMin) return absl::StrFormat("tyre at %d kPa", reading.tyre_kpa);
  return std::nullopt;
}

void FuelTotals::Add(const Reading& reading) {
  ++readings_;
  Sum& sum = cars_[reading.car];
  sum.metres += reading.metres;
  sum.fuel_ml += reading.fuel_ml;
}

std::string FuelTotals::Summary() const {
  Sum all;
  for (const auto& [car, sum] : cars_) {
    all.metres += sum.metres;
    all.fuel_ml += sum.fuel_ml;
  }
  return absl::StrFormat("readings %d, cars %d, %.1f km, %.2f l, %.2f l/100km", readings_,
                         cars_.size(), static_cast<double>(all.metres) / 1000.0,
                         static_cast<double>(all.fuel_ml) / 1000.0,
                         LitresPer100Km(all.fuel_ml, all.metres));
}

std::vector<std::string> FuelTotals::Worst(size_t count) const {
  std::vector<std::pair<double, std::string>> rows;
  for (const auto& [car, sum] : cars_) {
    rows.emplace_back(LitresPer100Km(sum.fuel_ml, sum.metres), car);
  }
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  rows.resize(std::min(rows.size(), count));
  std::vector<std::string> lines;
  for (const auto& [litres, car] : rows) {
    lines.push_back(absl::StrFormat("%s %5.2f l/100km", car, litres));
  }
  return lines;
}

}  // namespace catamaran::examples
