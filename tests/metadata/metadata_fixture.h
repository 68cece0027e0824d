// Runs commands against an image without a log or threads: decide, replay, and check on every step
// that the promises of the image hold.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "metadata/controller.h"
#include "metadata/replay.h"

namespace catamaran::metadata {

inline ClusterId TestCluster() { return ClusterId{Uuid::FromRandom(1, 2)}; }

class Machine {
 public:
  explicit Machine(uint64_t seed = 1) : random_(seed) {}

  // Decides and, unless it's refused or only validated, replays.
  absl::StatusOr<Answer> Run(const Command& command, const CommandOptions& options = {}) {
    absl::StatusOr<Decision> decision = Handle(command, options, *image_, limits, random_);
    if (!decision.ok()) return decision.status();
    ImageBuilder builder(image_);
    for (const Record& record : decision->records) {
      absl::Status replayed = builder.Replay(record);
      EXPECT_TRUE(replayed.ok()) << replayed;
    }
    absl::StatusOr<ImageBuilder::Built> built = builder.Build();
    EXPECT_TRUE(built.ok()) << built.status();
    Answer answer = AnswerOf(*decision, *built->image);
    if (options.validate_only) return answer;
    CheckStep(*built);
    records_ += decision->records.size();
    image_ = built->image;
    return answer;
  }

  void RegisterBroker(int32_t id, DirectoryId directory = DirectoryId{Uuid::FromRandom(3, 4)}) {
    RegisterBrokerCommand command;
    command.broker = BrokerId(id);
    command.directory = directory;
    command.address = "localhost:7400";
    command.cluster = TestCluster();
    absl::StatusOr<Answer> answer = Run(command);
    ASSERT_TRUE(answer.ok()) << answer.status();
  }

  const ImageRef& image() const { return image_; }
  size_t records() const { return records_; }
  ControllerLimits limits;

 private:
  // image + delta == next image, for what a delta tells of.
  void CheckStep(const ImageBuilder::Built& built) {
    EXPECT_EQ(built.delta->from, image_->revision());
    EXPECT_EQ(built.delta->to, built.image->revision());
    ApplyDelta(*built.delta, view_);
    EXPECT_TRUE(view_ == ViewOf(*built.image));
  }

  Random random_;
  ImageRef image_ = std::make_shared<MetadataImage>();
  TopicsAndBrokers view_;
  size_t records_ = 0;
};

inline void CheckRebuild(const MetadataImage& image) {
  absl::StatusOr<ImageRef> rebuilt = LoadSnapshot(SnapshotRecords(image), image.revision());
  ASSERT_TRUE(rebuilt.ok()) << rebuilt.status();
  EXPECT_TRUE(**rebuilt == image);
  EXPECT_EQ((*rebuilt)->StateHash(), image.StateHash());
}

inline CreateTopicCommand CreateTopic(std::string name, int32_t partitions = 1) {
  CreateTopicCommand command;
  command.name = std::move(name);
  command.partition_count = partitions;
  return command;
}

inline TopicRef TopicOf(const absl::StatusOr<Answer>& answer) {
  return answer.ok() ? std::get<TopicAnswer>(*answer).topic : nullptr;
}

inline Reason ReasonIn(const absl::StatusOr<Answer>& answer) { return ReasonOf(answer.status()); }

}  // namespace catamaran::metadata
