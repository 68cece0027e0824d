// Arbitrary index files beside an intact segment: reads find every batch all the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/error.h"
#include "storage/cache_pool.h"
#include "storage/checkpoint_file.h"
#include "storage/partition_log.h"
#include "storage/sparse_index.h"
#include "tests/sim/sim_file_system.h"
#include "tests/storage/log_harness.h"

namespace catamaran::storage {
namespace {

void RunOne(std::string_view input) {
  const std::string_view offsets = input.substr(0, input.size() / 2);
  const std::string_view times = input.substr(input.size() / 2);
  // As bodies: with a checksum that holds, so that the entries are looked at.
  const auto decoded = SparseIndex::Decode(offsets, times, Offset(0), 1'000);
  if (decoded.ok()) {
    CATAMARAN_CHECK(decoded->EncodeOffsets() == offsets && decoded->EncodeTimes() == times,
                    "an index survives a round trip");
  }
  // As files.
  sim::SimFileSystem disk(1);
  LogConfig config;
  config.segment_bytes = 400;
  config.index_interval_bytes = 1;
  LogHarness h(disk, config);
  CATAMARAN_CHECK(h.Open().ok(), "an empty log opens");
  for (int i = 0; i < 8; ++i) CATAMARAN_CHECK(h.Append(BatchSpec{}).ok(), "a batch is taken");
  CATAMARAN_CHECK(h.Maintain().ok() && h.Close().ok(), "segments are finished");
  for (std::string_view suffix : {".index", ".timeindex"}) {
    const std::string path = "topic-3/00000000000000000000" + std::string(suffix);
    CATAMARAN_CHECK(WriteFileAtomically(disk, path, suffix == ".index" ? offsets : times).ok(),
                    "it goes in");
  }
  const size_t capacity = TailPool().capacity();
  TailPool().SetCapacity(0);
  CATAMARAN_CHECK(h.Open().ok(), "indexes never stop a log");
  for (int64_t from = 0; from < 8; ++from) {
    const auto read = h.Read(Offset(from), 1);
    CATAMARAN_CHECK(read.ok() && read->next_offset == Offset(from + 1), "the batch is found");
  }
  const auto found = h.log().PlanTimestampLookup(TimestampMs(0), h.log().end())();
  CATAMARAN_CHECK(found.ok() && (*found)->offset == Offset(0), "the first record is found");
  TailPool().SetCapacity(capacity);
}

}  // namespace
}  // namespace catamaran::storage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  catamaran::storage::RunOne(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
