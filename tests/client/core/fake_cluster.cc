#include "tests/client/core/fake_cluster.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/error.h"

namespace catamaran::client::core {
namespace {

absl::Status Broken() { return absl::UnavailableError("connection broken"); }

}  // namespace

bool VirtualLoop::Step(MonotonicTime limit) {
  if (events_.empty() || events_.top().when > limit) return false;
  Event event = events_.top();
  events_.pop();
  now_ = event.when;
  event.run();
  return true;
}

FakeCluster::FakeCluster(VirtualLoop* loop, uint64_t seed, int brokers)
    : loop_(loop), random_(seed), brokers_(brokers) {}

void FakeCluster::CreateTopic(const std::string& name, int partitions) {
  TopicId id{random_.NextUuid()};
  name_to_id_[name] = id;
  Topic& topic = topics_[id];
  topic.name = name;
  topic.partitions.resize(static_cast<size_t>(partitions));
  for (FakePartition& partition : topic.partitions) {
    partition.leader = BrokerId(static_cast<int>(random_.Below(static_cast<uint64_t>(brokers_))));
    partition.told_leader = partition.leader;
  }
  ++revision_;
}

void FakeCluster::DeleteTopic(const std::string& name) {
  topics_.erase(name_to_id_.at(name));
  name_to_id_.erase(name);
  ++revision_;
}

void FakeCluster::MoveLeader(FakePartition* partition, bool in_metadata) {
  partition->leader = BrokerId((partition->leader.value() + 1) % brokers_);
  partition->epoch = LeaderEpoch(partition->epoch.value() + 1);
  if (!in_metadata) return;
  partition->told_leader = partition->leader;
  partition->told_epoch = partition->epoch;
  ++revision_;
}

std::vector<std::string> FakeCluster::Values(const std::string& topic, int partition) {
  std::vector<std::string> values;
  for (const StoredBatch& batch : Partition(topic, partition).log) {
    absl::StatusOr<BatchRecords> records = BatchRecords::Open(batch.bytes, 64 << 20);
    CATAMARAN_CHECK(records.ok(), records.status().ToString());
    absl::StatusOr<std::vector<Record>> all = records->ReadAll();
    CATAMARAN_CHECK(all.ok(), all.status().ToString());
    for (const Record& record : *all) values.emplace_back(*record.value);
  }
  return values;
}

bool FakeCluster::IsDown(const std::string& address) const {
  for (const auto& [broker, down] : down_) {
    if (down && Address(broker) == address) return true;
  }
  return false;
}

FakePartition* FakeCluster::Find(const TopicPartitionId& id) {
  auto it = topics_.find(id.topic);
  if (it == topics_.end()) return nullptr;
  const auto index = static_cast<size_t>(id.partition.value());
  return index < it->second.partitions.size() ? &it->second.partitions[index] : nullptr;
}

// ---- metadata and ids ----

void FakeCluster::Send(const SendMetadata& send,
                       std::function<void(absl::StatusOr<MetadataAnswer>)> done) {
  if (random_.Chance(faults_.fail_metadata) || IsDown(send.address)) {
    loop_->After(Delay(), [done] { done(Broken()); });
    return;
  }
  MetadataAnswer answer;
  answer.cluster_id = "fake";
  answer.revision = MetadataRevision(revision_);
  for (int i = 0; i < brokers_; ++i) answer.brokers.push_back({BrokerId(i), Address(i)});
  for (const std::string& name : send.request.topics) {
    auto id = name_to_id_.find(name);
    if (id == name_to_id_.end()) continue;
    TopicInfo info{name, id->second, {}};
    for (const FakePartition& partition : topics_.at(id->second).partitions) {
      info.partitions.push_back({partition.told_leader, partition.told_epoch});
    }
    answer.topics.push_back(info);
  }
  loop_->After(Delay(), [done, answer] { done(answer); });
}

void FakeCluster::Send(const SendInitProducerId& send,
                       std::function<void(absl::StatusOr<ProducerIdentity>)> done) {
  ProducerIdentity identity{ProducerId(next_producer_++), ProducerEpoch(0)};
  if (send.current.has_value()) {
    identity = {send.current->id,
                ProducerEpoch(static_cast<int16_t>(send.current->epoch.value() + 1))};
  }
  const bool lost = random_.Chance(faults_.lose_answer) || IsDown(send.address);
  loop_->After(Delay(), [=] {
    if (lost) {
      done(Broken());
    } else {
      done(identity);
    }
  });
}

// ---- append ----

absl::Status FakeCluster::CheckLeader(const std::string& address, FakePartition* partition,
                                      LeaderEpoch epoch) {
  if (partition == nullptr) return MakeError(Reason::kUnknownTopic, "no such partition");
  if (const std::string leader = Address(partition->leader.value()); leader != address) {
    ++misdirected_;
    return MakeError(Reason::kNotLeader, "moved",
                     {{"leader", std::to_string(partition->leader.value())},
                      {"leader_address", leader},
                      {"leader_epoch", std::to_string(partition->epoch.value())}});
  }
  if (epoch < partition->epoch) return MakeError(Reason::kFencedEpoch, "old epoch");
  return absl::OkStatus();
}

AppendResult FakeCluster::AppendOne(FakePartition* partition, const Buffer& batch) {
  AppendResult result;
  BatchHeader header = *ParseBatchHeader(batch.view());
  CATAMARAN_CHECK(BatchCrcMatches(batch.view()), "crc");
  if (random_.Chance(faults_.forget)) partition->producers.erase(header.producer_id);
  if (header.has_producer()) {
    auto it = partition->producers.find(header.producer_id);
    if (it != partition->producers.end()) {
      FakePartition::Producer& producer = it->second;
      if (header.producer_epoch < producer.epoch) {
        result.status = MakeError(Reason::kProducerFenced, "fenced");
        return result;
      }
      const bool same_epoch = header.producer_epoch == producer.epoch;
      for (const auto& [last, offset] : producer.last) {
        if (same_epoch && last.base_sequence == header.base_sequence &&
            last.last_sequence() == header.last_sequence()) {
          ++duplicates_;
          result.base_offset = offset;
          result.duplicate = true;
          return result;
        }
      }
      const Sequence expected =
          same_epoch ? AddSequence(producer.last.back().first.last_sequence(), 1) : Sequence(0);
      if (header.base_sequence != expected) {
        ++out_of_order_;
        result.status = MakeError(Reason::kOutOfOrderSequence, "gap");
        return result;
      }
    }
    FakePartition::Producer& producer = partition->producers[header.producer_id];
    if (producer.epoch != header.producer_epoch) producer.last.clear();
    producer.epoch = header.producer_epoch;
    producer.last.emplace_back(header, partition->end);
    if (producer.last.size() > 5) producer.last.erase(producer.last.begin());
  }
  std::string bytes(batch.view());
  PatchBaseOffset(bytes.data(), partition->end);
  PatchLeaderEpoch(bytes.data(), partition->epoch);
  result.base_offset = partition->end;
  partition->log.push_back({partition->end, std::move(bytes)});
  partition->end += header.record_count;
  return result;
}

std::vector<AppendResult> FakeCluster::Append(const std::string& address,
                                              const std::vector<AppendEntry>& entries) {
  std::vector<AppendResult> results;
  for (const AppendEntry& entry : entries) {
    AppendResult result;
    FakePartition* partition = Find(entry.partition);
    result.status = CheckLeader(address, partition, entry.leader_epoch);
    if (result.status.ok() && random_.Chance(faults_.refuse)) {
      result.status = MakeError(faults_.refusal, "not now");
    }
    if (result.status.ok() && random_.Chance(faults_.reject)) {
      result.status = MakeError(Reason::kInvalidRecord, "refused for good");
    }
    if (result.status.ok()) {
      result = AppendOne(partition, entry.batch);
      if (result.status.ok() && random_.Chance(faults_.unknown)) {
        result.status = MakeError(Reason::kOutcomeUnknown, "not acknowledged in time");
      }
    }
    if (partition != nullptr && random_.Chance(faults_.move_leader)) {
      MoveLeader(partition);
    }
    results.push_back(std::move(result));
  }
  return results;
}

void FakeCluster::Send(const SendAppend& send, std::function<void(AppendAnswer)> done) {
  Connection& connection = connections_[send.address];
  connection.open[send.correlation] = std::move(done);
  const uint64_t generation = connection.generation;
  // In order on one connection: never before the one sent last.
  connection.last_arrival = std::max(connection.last_arrival, loop_->now() + Delay());
  const bool lose_request = random_.Chance(faults_.lose_request) || IsDown(send.address);
  const bool lose_answer = random_.Chance(faults_.lose_answer);
  const bool silent = random_.Chance(faults_.black_hole);
  const bool late = random_.Chance(faults_.deliver_late);
  const MonotonicTime arrival = connection.last_arrival;
  if (silent && late) {
    // Stuck somewhere; nobody is told, and it comes out again at some time.
    const Duration delay = std::chrono::milliseconds(random_.Between(10, 40'000));
    loop_->At(arrival + delay, [this, send] { Append(send.address, send.entries); });
    connection.last_arrival = arrival + std::chrono::hours(1);  // all that follows is stuck, too
    return;
  }
  loop_->At(arrival, [=, this] {
    Connection& now = connections_[send.address];
    if (now.generation != generation) {  // broke while this was on its way
      if (late) {
        const Duration delay = std::chrono::milliseconds(random_.Between(1, 40'000));
        loop_->After(delay, [this, send] { Append(send.address, send.entries); });
      }
      return;
    }
    if (lose_request) {
      if (!silent) Break(send.address);
      return;
    }
    std::vector<AppendResult> results = Append(send.address, send.entries);
    if (lose_answer) {
      if (!silent) Break(send.address);
      return;
    }
    now.last_answer = std::max(now.last_answer, loop_->now() + Delay());
    loop_->At(now.last_answer, [=, this] {
      Connection& then = connections_[send.address];
      auto it = then.open.find(send.correlation);
      if (then.generation != generation || it == then.open.end()) return;
      auto answer = std::move(it->second);
      then.open.erase(it);
      answer(results);
    });
  });
}

void FakeCluster::Break(const std::string& address) {
  Connection& connection = connections_[address];
  auto open = std::exchange(connection.open, {});
  ++connection.generation;
  connection.last_arrival = connection.last_answer = MonotonicTime();
  for (auto& [correlation, done] : open) {
    loop_->After(Delay(), [answer = done] { answer(Broken()); });
  }
}

void FakeCluster::Reset(const std::string& address) {
  Connection& connection = connections_[address];
  connection.open.clear();
  ++connection.generation;
  connection.last_arrival = connection.last_answer = MonotonicTime();
}

// ---- reads ----

FetchResult FakeCluster::Read(const std::string& address, const SendFetch& send,
                              const FetchEntry& entry) {
  FetchResult result;
  FakePartition* partition = Find(entry.partition);
  result.status = CheckLeader(address, partition, entry.leader_epoch);
  if (result.status.ok() && random_.Chance(faults_.refuse)) {
    result.status = MakeError(Reason::kOverloaded, "busy");
  }
  if (!result.status.ok()) return result;
  result.high_watermark = result.last_stable_offset = partition->end;
  result.log_start_offset = partition->log_start;
  result.next_offset = entry.offset;
  if (entry.offset < partition->log_start || entry.offset > partition->end) {
    result.status = MakeError(Reason::kOffsetOutOfRange, "outside the log");
    return result;
  }
  std::string bytes;
  for (const StoredBatch& batch : partition->log) {
    const BatchHeader header = *ParseBatchHeader(batch.bytes);
    if (header.next_offset() <= entry.offset) continue;
    const auto limit = static_cast<size_t>(std::min(entry.bytes_max, send.bytes_max));
    if (!bytes.empty() && bytes.size() + batch.bytes.size() > limit) break;
    bytes += batch.bytes;
    result.next_offset = header.next_offset();
  }
  result.batches = Buffer::FromString(std::move(bytes));
  return result;
}

void FakeCluster::Send(const SendFetch& send, std::function<void(FetchAnswer)> done) {
  ++fetches_;
  if (random_.Chance(faults_.lose_request) || IsDown(send.address)) {
    if (random_.Chance(faults_.black_hole)) return;
    loop_->After(Delay(), [done] { done(Broken()); });
    return;
  }
  // A long poll, by looking again and again.
  const MonotonicTime wait_end = loop_->now() + send.wait_max;
  auto look = std::make_shared<std::function<void()>>();
  // Kept alive by the event that waits to run it, so that a loop that ends early frees it.
  *look = [this, send, done, wait_end, weak = std::weak_ptr(look)] {
    std::vector<FetchResult> results;
    bool any = loop_->now() >= wait_end;
    for (const FetchEntry& entry : send.entries) {
      results.push_back(Read(send.address, send, entry));
      any |= !results.back().status.ok() || !results.back().batches.empty();
    }
    if (!any) {
      loop_->After(std::chrono::milliseconds(5), [self = weak.lock()] { (*self)(); });
      return;
    }
    loop_->After(Delay(), [done, results] { done(results); });
  };
  loop_->After(Delay(), [look] { (*look)(); });
}

void FakeCluster::Send(const SendListOffsets& send, std::function<void(ListOffsetsAnswer)> done) {
  if (random_.Chance(faults_.lose_request) || IsDown(send.address)) {
    loop_->After(Delay(), [done] { done(Broken()); });
    return;
  }
  std::vector<OffsetFound> found;
  for (const OffsetLookup& lookup : send.lookups) {
    OffsetFound& result = found.emplace_back();
    FakePartition* partition = Find(lookup.partition);
    result.status = CheckLeader(send.address, partition, lookup.leader_epoch);
    if (!result.status.ok()) continue;
    switch (lookup.at.kind) {
      case StartPosition::Kind::kEarliest:
        result.offset = partition->log_start;
        break;
      case StartPosition::Kind::kTimestamp:
        for (const StoredBatch& batch : partition->log) {
          if (ParseBatchHeader(batch.bytes)->max_timestamp >= lookup.at.timestamp) {
            result.offset = batch.base_offset;
            break;
          }
        }
        break;
      default:
        result.offset = partition->end;
    }
  }
  loop_->After(Delay(), [done, found] { done(found); });
}

}  // namespace catamaran::client::core
