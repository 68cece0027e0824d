// A segment's log file with arbitrary bytes, alone or behind intact batches: opening it ends, with
// a log that can be read and appended to or with a typed refusal; and recovery settles: a second
// opening finds what the first one left.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/error.h"
#include "storage/partition_log.h"
#include "tests/sim/sim_file_system.h"
#include "tests/storage/log_harness.h"

namespace catamaran::storage {
namespace {

constexpr char kLog[] = "topic-3/00000000000000000000.log";

void RunOne(std::string_view input) {
  if (input.empty()) return;
  const int intact = static_cast<uint8_t>(input[0]) % 4;
  input.remove_prefix(1);
  sim::SimFileSystem disk(1);
  LogHarness h(disk);
  CATAMARAN_CHECK(h.Open().ok(), "an empty log opens");
  for (int i = 0; i < std::max(intact, 1); ++i) {
    CATAMARAN_CHECK(h.Append(BatchSpec{}).ok(), "a batch is taken");
  }
  h.Drop();
  auto file = disk.Open(kLog, OpenMode::kReadWrite);
  const uint64_t at = intact == 0 ? 0 : *(*file)->Size();
  CATAMARAN_CHECK((*file)->Truncate(at).ok() && (*file)->WriteAt(at, input).ok(), "bytes go in");
  const absl::Status opened = h.Open();
  if (!opened.ok()) {
    CATAMARAN_CHECK(ReasonOf(opened) == Reason::kCorruptLog, "damage is told as damage");
    CATAMARAN_CHECK(*(*file)->Size() == at + input.size(), "and nothing is cut");
    return;
  }
  CATAMARAN_CHECK(h.log().end() >= Offset(intact), "intact batches stay");
  CATAMARAN_CHECK(h.ReadBatches(Offset(0)).ok(), "what is kept can be read");
  const LeaderEpoch epoch = std::max(h.log().last_epoch(), LeaderEpoch(1));
  CATAMARAN_CHECK(h.Append(BatchSpec{}, epoch).ok(), "the log goes on");
  const Offset end = h.log().end();
  h.Drop();
  const absl::Status again = h.Open();
  CATAMARAN_CHECK(again.ok() && h.log().end() == end, "recovery settles");
}

}  // namespace
}  // namespace catamaran::storage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  catamaran::storage::RunOne(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
