// The only code that changes metadata: replaying a record. The controller decides which records;
// here they're taken as decided, so that every node that replays the same records holds an equal
// image. A record that doesn't fit the image it meets (an unknown topic, a partition that leaves a
// gap) is kCorruptLog: it can only come from a damaged log or broken code, and the node must not go
// on.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "catamaran/internal/v1/metadata_records.pb.h"
#include "metadata/image.h"

namespace catamaran::metadata {

using Record = internal::v1::MetadataRecord;

// Builds the next image from one and records. Copies a part of the image at the first record that
// changes it and shares the rest. One owner, any thread.
class ImageBuilder {
 public:
  explicit ImageBuilder(ImageRef base);
  ~ImageBuilder();
  ImageBuilder(const ImageBuilder&) = delete;
  ImageBuilder& operator=(const ImageBuilder&) = delete;

  // Applies the record of the revision after the last one. After an error the builder is of no use.
  absl::Status Replay(const Record& record);

  // Applies a record of a snapshot: revisions don't move, topic versions are the record's.
  absl::Status LoadSnapshotRecord(const Record& record);
  void FinishSnapshot(MetadataRevision revision);

  // The image as of the records so far; the builder goes on from it. kCorruptLog inside a batch
  // that was begun and hasn't ended.
  struct Built {
    ImageRef image;
    std::shared_ptr<const MetadataDelta> delta;  // since the last Build()
  };
  absl::StatusOr<Built> Build();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Records that build `image` from nothing (with LoadSnapshotRecord), in a fixed order.
std::vector<Record> SnapshotRecords(const MetadataImage& image);
// The image that the records build; equal to the one that they were taken from.
absl::StatusOr<ImageRef> LoadSnapshot(const std::vector<Record>& records,
                                      MetadataRevision revision);

// `from` with the delta's changes: what a subscriber that keeps its own view does. Only for the
// parts that a delta tells of (topics, brokers).
struct TopicsAndBrokers {
  std::map<std::string, TopicRef> topics;
  std::map<BrokerId, BrokerInfo> brokers;
  bool operator==(const TopicsAndBrokers& other) const;
};
TopicsAndBrokers ViewOf(const MetadataImage& image);
void ApplyDelta(const MetadataDelta& delta, TopicsAndBrokers& view);

}  // namespace catamaran::metadata
