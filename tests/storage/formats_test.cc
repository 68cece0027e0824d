// Holds docs/formats.md to what the code does: its examples are read from the page itself.
#include <fstream>
#include <sstream>

#include "gtest/gtest.h"
#include "storage/binding.h"
#include "storage/checkpoint_file.h"
#include "storage/data_directory.h"
#include "storage/log_state.h"
#include "storage/sparse_index.h"
#include "tests/sim/sim_file_system.h"

namespace catamaran::storage {
namespace {

// The fenced block that begins with "```<name>".
std::string Block(const std::string& name) {
  std::ifstream file("docs/formats.md");
  EXPECT_TRUE(file.good()) << "run from the project's root";
  std::string text;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (inside && line == "```") return text;
    if (inside) text += line + "\n";
    if (line == "```" + name) inside = true;
  }
  ADD_FAILURE() << "docs/formats.md has no example " << name;
  return "";
}

std::string Example(const std::string& name) {
  std::istringstream words(Block("hex " + name));
  std::string bytes;
  for (std::string word; words >> word;) {
    bytes.push_back(static_cast<char>(std::stoi(word, nullptr, 16)));
  }
  return bytes;
}

TopicPartitionId ExamplePartition() {
  return {TopicId{*Uuid::FromString("00112233-4455-4677-8899-aabbccddeeff")}, PartitionIndex(3)};
}

TEST(StorageFormatsTest, SmallFiles) {
  EXPECT_EQ(EncodeTopicId(ExamplePartition()), Example("topic-id"));
  EXPECT_EQ(*DecodeTopicId(Example("topic-id")), ExamplePartition());
  EXPECT_EQ(EncodeLogStart(Offset(4711)), Example("log-start"));
  EXPECT_EQ(*DecodeLogStart(Example("log-start")), Offset(4711));
}

TEST(StorageFormatsTest, Binding) {
  BatchHeader header;
  header.base_offset = Offset(1000);
  header.leader_epoch = LeaderEpoch(7);
  header.crc = 0xcc2fe0dc;
  std::string entry;
  AppendBindEntry(MakeBindEntry(ExamplePartition(), header, Offset(990)), &entry);
  EXPECT_EQ(entry, Example("bind-entry"));
}

TEST(StorageFormatsTest, Indexes) {
  SparseIndex index;
  index.MaybeAdd({Offset(1002), 16'500, 1, TimestampMs(1'700'000'000'000)}, 16'384);
  EXPECT_EQ(EncodeFrame(FileKind::kOffsetIndex, index.EncodeOffsets()), Example("offset-index"));
  EXPECT_EQ(EncodeFrame(FileKind::kTimeIndex, index.EncodeTimes()), Example("time-index"));
}

TEST(StorageFormatsTest, Checkpoint) {
  BatchHeader header;
  header.base_offset = Offset(1000);
  header.length = 89;
  header.leader_epoch = LeaderEpoch(7);
  header.last_offset_delta = 1;
  header.max_timestamp = TimestampMs(1'700'000'000'000);
  header.producer_id = ProducerId(4711);
  header.producer_epoch = ProducerEpoch(3);
  header.base_sequence = Sequence(10);
  LogState state;
  Segment segment;
  segment.base = Offset(1000);
  ApplyBatch(header, TimestampMs(1'700'000'000'100), 16'384, &segment, &state.epochs,
             &state.producers);
  state.end = segment.end;
  state.segments.push_back(std::move(segment));
  EXPECT_EQ(EncodeLogCheckpoint(state), Example("checkpoint"));
  const auto decoded = DecodeLogCheckpoint(Example("checkpoint"));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->end, Offset(1002));
  EXPECT_EQ(decoded->producers.at(ProducerId(4711)).batch_count, 1);
}

TEST(StorageFormatsTest, DirectoryIdentity) {
  sim::SimFileSystem disk(1);
  ASSERT_TRUE(WriteFileAtomically(disk, "meta.properties", Block("text meta.properties")).ok());
  Random random(1);
  const auto opened = DataDirectory::Open(disk, {BrokerId(4), {}}, random);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ((*opened)->identity().start_counter, 8u);
  EXPECT_EQ((*opened)->identity().directory.uuid.ToString(),
            "ffeeddcc-bbaa-4998-8776-655443322110");
}

}  // namespace
}  // namespace catamaran::storage
