// Rates of the record batch on one thread: CRC, encode, validate, read, and the codecs. MB are 10^6
// bytes of uncompressed records. Usage: batch_bench [seconds per line, default 0.5]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/batch/batch.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/random.h"

namespace catamaran {
namespace {

constexpr size_t kBatchBytes = 1u << 20;
constexpr int kRoundsMin = 3;

// Car telemetry as JSON, padded to `size`: compresses about as such data does.
std::vector<std::string> Values(size_t size, size_t count) {
  Random random(1);
  std::vector<std::string> values(count);
  for (std::string& value : values) {
    while (value.size() < size) {
      char line[160];
      std::snprintf(line, sizeof(line),
                    "{\"car\":%d,\"speed\":%d,\"fuel\":%.3f,\"lat\":%.5f,\"lon\":%.5f}",
                    static_cast<int>(random.Below(5000)), static_cast<int>(random.Below(180)),
                    random.Unit() * 60, random.Unit() * 90, random.Unit() * 180);
      value += line;
    }
    value.resize(size);
  }
  return values;
}

struct Result {
  double seconds_per_round = 0;
};

// Repeats `round` for the time asked for; the best of five slices, so that a neighbour's burst on a
// shared machine doesn't count.
template <class Round>
Result Measure(double seconds, Round&& round) {
  constexpr int kSlices = 5;
  double best = 1e9;
  round();  // warms caches and contexts
  for (int slice = 0; slice < kSlices; ++slice) {
    const MonotonicTime start = SystemClock().Now();
    int rounds = 0;
    double elapsed = 0;
    while (rounds < kRoundsMin || elapsed < seconds / kSlices) {
      round();
      ++rounds;
      elapsed = std::chrono::duration<double>(SystemClock().Now() - start).count();
    }
    best = std::min(best, elapsed / rounds);
  }
  return {best};
}

void Print(const char* what, size_t record_bytes, const Result& result, size_t bytes,
           int32_t records) {
  std::printf("%-20s %6zu B %10.0f MB/s %12.0f records/s\n", what, record_bytes,
              static_cast<double>(bytes) / 1e6 / result.seconds_per_round,
              records / result.seconds_per_round);
  std::fflush(stdout);
}

void Check(const absl::Status& status) {
  CATAMARAN_CHECK(status.ok(), "the benchmark's own batches are valid");
}

std::string Fill(BatchBuilder& builder, const std::vector<std::string>& values) {
  for (size_t i = 0; builder.SizeAfter("car-4711", values[i % values.size()]) < kBatchBytes; ++i) {
    builder.Add(TimestampMs(1'700'000'000'000 + static_cast<int64_t>(i / 64)), "car-4711",
                values[i % values.size()]);
  }
  auto batch = builder.Build();
  Check(batch.status());
  return *std::move(batch);
}

void RunSize(size_t record_bytes, double seconds) {
  constexpr size_t kDistinctValues = 4096;
  const std::vector<std::string> values = Values(record_bytes, kDistinctValues);
  ValidationOptions validation;
  validation.batch_bytes_max = kBatchBytesLimit;
  validation.now = TimestampMs(1'700'000'000'000);

  BatchBuilder plain_builder({});
  const std::string plain = Fill(plain_builder, values);
  const int32_t records = ParseBatchHeader(plain)->record_count;
  const auto line = [&](const char* what, const Result& result) {
    Print(what, record_bytes, result, plain.size(), records);
  };
  std::string copy(plain.size(), '\0');
  line("memory copy", Measure(seconds, [&] {
         copy.assign(plain);
         asm volatile("" : : "r"(copy.data()) : "memory");
       }));
  uint32_t sum = 0;
  line("crc32c", Measure(seconds, [&] { sum ^= Crc32c(plain); }));
  line("encode none", Measure(seconds, [&] { Fill(plain_builder, values); }));
  line("validate none", Measure(seconds, [&] { Check(ValidateProducedBatch(plain, validation)); }));
  line("read none", Measure(seconds, [&] {
         const auto batch = BatchRecords::Open(plain, kBatchBytesLimit);
         RecordIterator iterator = batch->begin_reading();
         for (Record record; iterator.Next(&record);) sum ^= record.value->size();
         Check(iterator.status());
       }));
  for (int i = 1; i < kCodecs; ++i) {
    const auto codec = static_cast<Codec>(i);
    const std::string name(CodecName(codec));
    BatchBuilderOptions options;
    options.codec = codec;
    BatchBuilder builder(options);
    const std::string packed = Fill(builder, values);
    const std::string section = plain.substr(kBatchHeaderBytes);
    const std::string stream = packed.substr(kBatchHeaderBytes);
    std::string out;
    std::printf("%s: ratio %.2f\n", name.c_str(),
                static_cast<double>(plain.size()) / static_cast<double>(packed.size()));
    line(("compress " + name).c_str(), Measure(seconds, [&] {
           out.clear();
           Check(CompressTo(codec, section, std::nullopt, &out));
         }));
    line(("decompress " + name).c_str(),
         Measure(seconds, [&] { Check(DecompressTo(codec, stream, kBatchBytesLimit, &out)); }));
    line(("validate " + name).c_str(),
         Measure(seconds, [&] { Check(ValidateProducedBatch(packed, validation)); }));
  }
  CATAMARAN_CHECK(sum != 1, "keeps the results in use");
}

}  // namespace
}  // namespace catamaran

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0.5;
  std::printf("batches of %zu bytes\n", catamaran::kBatchBytes);
  for (const size_t record_bytes : {100, 1024}) catamaran::RunSize(record_bytes, seconds);
  return 0;
}
