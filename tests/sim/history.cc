#include "tests/sim/history.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/batch/batch.h"
#include "base/error.h"

namespace catamaran::sim {
namespace {

constexpr size_t kDecompressedBytesMax = 64u << 20;

// The values of one batch, in order; a record that isn't ours is nullopt.
struct BatchContent {
  BatchHeader header;
  std::vector<std::optional<ValueId>> values;
};

absl::StatusOr<std::vector<BatchContent>> ReadBatches(std::string_view bytes) {
  std::vector<BatchContent> batches;
  while (!bytes.empty()) {
    CATAMARAN_ASSIGN_OR_RETURN(const BatchHeader header, ParseBatchHeader(bytes));
    if (header.size_bytes() > bytes.size()) return absl::DataLossError("a batch is cut");
    std::string_view batch = bytes.substr(0, header.size_bytes());
    if (!BatchCrcMatches(batch)) return absl::DataLossError("a batch's CRC is wrong");
    CATAMARAN_ASSIGN_OR_RETURN(const BatchRecords opened,
                               BatchRecords::Open(batch, kDecompressedBytesMax));
    CATAMARAN_ASSIGN_OR_RETURN(const std::vector<Record> records, opened.ReadAll());
    BatchContent content{header, {}};
    for (const Record& record : records) {
      content.values.push_back(record.value.has_value() ? DecodeValue(*record.value)
                                                        : std::nullopt);
    }
    batches.push_back(std::move(content));
    bytes.remove_prefix(header.size_bytes());
  }
  return batches;
}

}  // namespace

std::string EncodeValue(ValueId id, size_t size) {
  std::string value = absl::StrCat("v", id.producer, ".", id.number, ";");
  if (value.size() < size) value.resize(size, '.');
  return value;
}

std::optional<ValueId> DecodeValue(std::string_view value) {
  const size_t end = value.find(';');
  const size_t dot = value.find('.');
  if (value.empty() || value[0] != 'v' || end == std::string_view::npos || dot > end) {
    return std::nullopt;
  }
  ValueId id;
  if (!absl::SimpleAtoi(std::string(value.substr(1, dot - 1)), &id.producer) ||
      !absl::SimpleAtoi(std::string(value.substr(dot + 1, end - dot - 1)), &id.number)) {
    return std::nullopt;
  }
  return id;
}

std::string ToString(ValueId id) { return absl::StrCat("p", id.producer, " #", id.number); }

void History::Violate(const std::string& what) {
  if (violation_.empty()) violation_ = what;
}

const TopicPlan* History::PlanOf(const std::string& topic) const {
  for (const TopicPlan& plan : plan_.topics) {
    if (plan.name == topic) return &plan;
  }
  return nullptr;
}

const TopicPlan* History::PlanOf(TopicId id) const {
  auto it = names_.find(id);
  return it == names_.end() ? nullptr : PlanOf(it->second);
}

std::string History::NameOf(TopicPartitionId partition) const {
  auto it = names_.find(partition.topic);
  return absl::StrCat(it == names_.end() ? "?" : it->second, "-", partition.partition.value(), " (",
                      partition.topic.uuid.ToString().substr(0, 8), ")");
}

int64_t History::HighestOffset(const std::string& topic, int32_t partition) const {
  int64_t highest = 0;
  for (const auto& [id, log] : logs_) {
    auto name = names_.find(id.topic);
    if (id.partition.value() != partition || name == names_.end() || name->second != topic)
      continue;
    if (!log.entries.empty()) highest = std::max(highest, log.entries.rbegin()->first + 1);
  }
  return highest;
}

// ---- producers ----------------------------------------------------------------------------------

void History::OnSend(ValueId id, const std::string& topic, bool ordered) {
  Sent& sent = sent_[id];
  sent.topic = topic;
  sent.ordered = ordered;
}

void History::OnDelivered(ValueId id, const std::string& topic,
                          const absl::StatusOr<client::Delivery>& delivery, bool has_key,
                          PartitionIndex expected) {
  Sent& sent = sent_[id];
  if (sent.state != State::kPending) {
    return Violate(absl::StrCat("record ", ToString(id), " was answered twice"));
  }
  if (!delivery.ok()) {
    if (OutcomeOf(delivery.status()) == Outcome::kUnknown) {
      ++unknown_;
      sent.state = State::kUnknown;
      return;
    }
    ++rejected_;
    sent.state = State::kRejected;
    for (const auto& [partition, log] : logs_) {
      auto it = log.offsets.find(id);
      if (it == log.offsets.end()) continue;
      return Violate(absl::StrCat("record ", ToString(id), " was rejected (",
                                  std::string(delivery.status().message()), ") but stands at ",
                                  NameOf(partition), " offset ", it->second));
    }
    return;
  }
  ++acknowledged_;
  sent.state = State::kAcknowledged;
  if (has_key && partitions_max_[topic] == PlanOf(topic)->partitions && !PlanOf(topic)->grow &&
      delivery->partition != expected) {
    Violate(absl::StrCat("record ", ToString(id), " has a key of partition ", expected.value(),
                         " but was stored in ", delivery->partition.value()));
  }
  if (delivery->offset.value() < 0) {  // acks none promises nothing
    sent.state = State::kUnknown;
    return;
  }
  if (!sent.receipt.has_value() || sent.receipt->first != delivery->partition ||
      sent.receipt->second != delivery->offset.value()) {
    Violate(absl::StrCat("record ", ToString(id), " was delivered to ", topic, "-",
                         delivery->partition.value(), " offset ", delivery->offset.value(),
                         ", which no broker's receipt says"));
  }
}

// ---- the wire -----------------------------------------------------------------------------------

void History::OnMetadata(const v1::GetMetadataResponse& answer) {
  for (const v1::Topic& topic : answer.topics()) {
    TopicId id{Uuid::FromBytes(topic.topic_id()).value_or(Uuid())};
    names_[id] = topic.name();
    int32_t& partitions = partitions_max_[topic.name()];
    partitions = std::max(partitions, static_cast<int32_t>(topic.partitions_size()));
  }
}

void History::OnAppendAnswer(const client::core::SendAppend& send,
                             const v1::AppendStreamResponse& answer) {
  for (int i = 0; i < answer.results_size(); ++i) {
    const v1::AppendResult& result = answer.results(i);
    if (!result.has_receipt() || result.receipt().base_offset() < 0) continue;
    const auto& entry = send.entries[static_cast<size_t>(i)];
    absl::StatusOr<std::vector<BatchContent>> batches = ReadBatches(entry.batch.view());
    CATAMARAN_CHECK(batches.ok() && batches->size() == 1, "a producer sends whole batches");
    const TopicPlan* plan = PlanOf(entry.partition.topic);
    const bool durable =
        (plan != nullptr && plan->sync) || send.durability == client::Durability::kSync;
    int64_t offset = result.receipt().base_offset();
    const int32_t epoch = result.receipt().leader_epoch();
    for (const std::optional<ValueId>& value : batches->front().values) {
      CATAMARAN_CHECK(value.has_value(), "producers send our values");
      sent_[*value].receipt = {entry.partition.partition, offset};
      Place(entry.partition, offset, *value, epoch, true, durable);
      ++offset;
    }
    if (result.receipt().last_offset() != offset - 1) {
      Violate(absl::StrCat("the receipt of a batch with ", batches->front().values.size(),
                           " records names offsets ", result.receipt().base_offset(), " to ",
                           result.receipt().last_offset()));
    }
  }
}

void History::OnFetchAnswer(const v1::FetchBatchesResponse& answer) {
  for (const v1::PartitionData& data : answer.partitions()) {
    TopicPartitionId partition{TopicId{Uuid::FromBytes(data.topic_id()).value_or(Uuid())},
                               PartitionIndex(data.partition())};
    if (data.has_error()) continue;
    if (data.log_start_offset() > data.last_stable_offset() ||
        data.last_stable_offset() > data.high_watermark()) {
      Violate(absl::StrCat(NameOf(partition), ": log start ", data.log_start_offset(),
                           ", last stable ", data.last_stable_offset(), ", high watermark ",
                           data.high_watermark(), " are out of order"));
    }
    CheckLogStart(partition, data.log_start_offset());
    absl::StatusOr<std::vector<BatchContent>> batches = ReadBatches(data.batches());
    if (!batches.ok()) {
      Violate(absl::StrCat(NameOf(partition), ": a fetch brought damaged batches: ",
                           std::string(batches.status().message())));
      continue;
    }
    const TopicPlan* plan = PlanOf(partition.topic);
    for (const BatchContent& batch : *batches) {
      if (batch.header.next_offset().value() > data.high_watermark()) {
        Violate(absl::StrCat(NameOf(partition), ": a reader was given offset ",
                             batch.header.last_offset().value(), " past the high watermark ",
                             data.high_watermark()));
      }
      int64_t offset = batch.header.base_offset.value();
      for (const std::optional<ValueId>& value : batch.values) {
        if (!value.has_value()) {
          Violate(absl::StrCat(NameOf(partition), " offset ", offset, ": nobody sent that value"));
          continue;
        }
        ++records_fetched_;
        Place(partition, offset++, *value, batch.header.leader_epoch.value(), false,
              plan != nullptr && plan->sync);
      }
    }
  }
}

void History::ForgetLost(Log* log, int64_t from, int32_t epoch, TopicPartitionId partition) {
  for (auto it = log->entries.lower_bound(from); it != log->entries.end();) {
    const Entry& entry = it->second;
    if (entry.epoch >= epoch) {  // given out anew already
      ++it;
      continue;
    }
    if (!entry.may_be_lost) {
      Violate(absl::StrCat(NameOf(partition), " offset ", it->first, ": ", ToString(entry.value),
                           " must not be lost, but offset ", from, " was given out again"));
    }
    ++offsets_given_again_;
    auto place = log->offsets.find(entry.value);
    if (place != log->offsets.end() && place->second == it->first) log->offsets.erase(place);
    it = log->entries.erase(it);
  }
}

void History::Place(TopicPartitionId partition, int64_t offset, ValueId value, int32_t epoch,
                    bool acknowledged, bool durable) {
  Log& log = logs_[partition];
  auto sent = sent_.find(value);
  if (sent == sent_.end()) {
    return Violate(absl::StrCat(NameOf(partition), " offset ", offset, " holds ", ToString(value),
                                ", which was never sent"));
  }
  if (sent->second.state == State::kRejected) {
    Violate(absl::StrCat("record ", ToString(value), " was rejected but stands at ",
                         NameOf(partition), " offset ", offset));
  }
  if (durable) log.durable_end = std::max(log.durable_end, offset + 1);
  auto it = log.entries.find(offset);
  // Lost, sent again and stored at the very same place is a new copy, under a higher epoch.
  const bool again = it != log.entries.end() && it->second.may_be_lost && it->second.epoch >= 0 &&
                     epoch > it->second.epoch;
  if (it != log.entries.end() && it->second.value == value && !again) {
    // A duplicate's receipt doesn't name an epoch that is too old to be known.
    if (it->second.epoch < 0) it->second.epoch = epoch;
    if (epoch >= 0 && it->second.epoch != epoch) {
      Violate(absl::StrCat(NameOf(partition), " offset ", offset, ": leader epoch ", epoch, " was ",
                           it->second.epoch, " before"));
    }
    it->second.acknowledged |= acknowledged;
    return;
  }
  if (it != log.entries.end()) {
    if (!it->second.may_be_lost || epoch <= it->second.epoch) {
      return Violate(absl::StrCat(NameOf(partition), " offset ", offset, " holds ", ToString(value),
                                  " (epoch ", epoch, ") but held ", ToString(it->second.value),
                                  " (epoch ", it->second.epoch, ")"));
    }
    ForgetLost(&log, offset, epoch, partition);
  }
  auto place = log.offsets.find(value);
  if (place != log.offsets.end()) {
    auto other = log.entries.find(place->second);
    if (!other->second.may_be_lost || other->second.epoch >= epoch) {
      return Violate(absl::StrCat(NameOf(partition), ": ", ToString(value), " stands at offset ",
                                  place->second, " and again at ", offset));
    }
    // The first copy was lost with what followed it, and this is the retry.
    ForgetLost(&log, place->second, epoch, partition);
  }
  log.entries[offset] = {value, epoch, acknowledged, false};
  log.offsets[value] = offset;
}

void History::CheckLogStart(TopicPartitionId partition, int64_t log_start) {
  Log& log = logs_[partition];
  log.log_start_seen = std::max(log.log_start_seen, log_start);
  const TopicPlan* plan = PlanOf(partition.topic);
  if (plan == nullptr || plan->retention || log_start == 0) return;
  auto asked = delete_records_max_.find({plan->name, partition.partition.value()});
  const int64_t limit = asked == delete_records_max_.end() ? 0 : asked->second;
  if (log_start > limit) {
    Violate(absl::StrCat(NameOf(partition), ": the log starts at ", log_start,
                         ", though nobody deleted beyond ", limit));
  }
}

// ---- consumers ----------------------------------------------------------------------------------

void History::OnPolled(Reader* reader, const std::string& who,
                       const client::ConsumedRecord& record) {
  ++records_polled_;
  const std::string topic(record.topic);
  const int64_t offset = record.offset.value();
  const std::string where = absl::StrCat(who, " on ", topic, "-", record.partition.value(), ": ");
  int64_t log_start = 0;
  bool lost_data = false;
  bool seen = false;
  std::optional<ValueId> value =
      record.value.has_value() ? DecodeValue(*record.value) : std::nullopt;
  for (const auto& [partition, log] : logs_) {
    auto name = names_.find(partition.topic);
    if (partition.partition != record.partition || name == names_.end() || name->second != topic) {
      continue;
    }
    log_start = std::max(log_start, log.log_start_seen);
    lost_data |= log.lost_data;
    auto entry = log.entries.find(offset);
    seen |= entry != log.entries.end() && value == entry->second.value;
  }
  if (!seen && !lost_data) {
    Violate(
        absl::StrCat(where, "offset ", offset, " was polled with a value that no fetch brought"));
  }
  if (offset < reader->next && !lost_data) {
    Violate(absl::StrCat(where, "offset ", offset, " was polled after ", reader->next - 1));
  }
  if (offset > reader->next && offset > log_start && !lost_data) {
    Violate(absl::StrCat(where, "offsets ", reader->next, " to ", offset - 1,
                         " were skipped, though the log starts at ", log_start));
  }
  reader->next = offset + 1;
}

// ---- administration -----------------------------------------------------------------------------

void History::OnDeleteRecordsRequested(const std::string& topic, int32_t partition,
                                       int64_t before) {
  int64_t& max = delete_records_max_[{topic, partition}];
  max = std::max(max, before < 0 ? INT64_MAX : before);
}

void History::OnDeletedRecords(const std::string& topic, int32_t partition, int64_t log_start) {
  int64_t& deleted = deleted_records_[{topic, partition}];
  deleted = std::max(deleted, log_start);
}

void History::OnTopicAcknowledged(const std::string& topic, TopicId id, int32_t partitions) {
  names_[id] = topic;
  int32_t& count = acknowledged_topics_[id];
  count = std::max(count, partitions);
  partitions_max_[topic] = std::max(partitions_max_[topic], partitions);
}

void History::OnUnsyncedDataLost() {
  for (auto& [partition, log] : logs_) {
    const TopicPlan* plan = PlanOf(partition.topic);
    if (plan == nullptr || plan->sync) continue;
    log.lost_data = true;
    for (auto it = log.entries.lower_bound(log.durable_end); it != log.entries.end(); ++it) {
      it->second.may_be_lost = true;
    }
  }
}

// ---- the disk and the end -----------------------------------------------------------------------

void History::CheckRecovered(TopicPartitionId partition, Offset log_start, Offset end) {
  auto it = logs_.find(partition);
  if (it == logs_.end()) return;
  CheckLogStart(partition, log_start.value());
  for (auto entry = it->second.entries.rbegin(); entry != it->second.entries.rend(); ++entry) {
    if (entry->second.may_be_lost || entry->first < log_start.value()) continue;
    if (entry->first >= end.value()) {
      Violate(absl::StrCat(NameOf(partition), ": recovered up to ", end.value(), ", but ",
                           ToString(entry->second.value), " at offset ", entry->first,
                           entry->second.acknowledged ? " was acknowledged" : " was seen"));
    }
    return;
  }
}

void History::CheckOrder(TopicPartitionId partition, const std::vector<FinalRecord>& records) {
  std::map<int32_t, ValueId> last;
  for (const FinalRecord& record : records) {
    if (!record.value.has_value() || !sent_[*record.value].ordered) continue;
    auto [it, first] = last.emplace(record.value->producer, *record.value);
    if (first) continue;
    if (record.value->number < it->second.number) {
      Violate(absl::StrCat(NameOf(partition), " offset ", record.offset, ": ",
                           ToString(*record.value), " stands behind ", ToString(it->second)));
    }
    it->second = *record.value;
  }
}

std::vector<History::FinalRecord> History::RecordsOf(std::string_view bytes) {
  std::vector<FinalRecord> records;
  absl::StatusOr<std::vector<BatchContent>> batches = ReadBatches(bytes);
  if (!batches.ok()) return records;
  for (const BatchContent& batch : *batches) {
    int64_t offset = batch.header.base_offset.value();
    for (const auto& value : batch.values) {
      records.push_back({offset++, batch.header.leader_epoch.value(), value});
    }
  }
  return records;
}

int64_t History::SeenEnd(TopicPartitionId partition) const {
  auto log = logs_.find(partition);
  if (log == logs_.end() || log->second.entries.empty()) return 0;
  return log->second.entries.rbegin()->first + 1;
}

void History::CheckFinal(TopicPartitionId partition, int64_t log_start, int64_t high_watermark,
                         const std::vector<FinalRecord>& records) {
  CheckLogStart(partition, log_start);
  const TopicPlan* plan = PlanOf(partition.topic);
  if (plan != nullptr && !plan->recreate) {
    auto deleted = deleted_records_.find({plan->name, partition.partition.value()});
    if (deleted != deleted_records_.end() && log_start < deleted->second) {
      Violate(absl::StrCat(NameOf(partition), ": the log starts at ", log_start,
                           ", but its records below ", deleted->second, " were deleted"));
    }
  }
  int64_t next = log_start;
  std::map<int64_t, ValueId> by_offset;
  for (const FinalRecord& record : records) {
    if (record.offset != next) {
      Violate(absl::StrCat(NameOf(partition), ": offset ", record.offset, " follows ", next - 1));
    }
    next = record.offset + 1;
    if (record.value.has_value()) by_offset[record.offset] = *record.value;
  }
  if (next != high_watermark) {
    Violate(absl::StrCat(NameOf(partition), ": the last record is ", next - 1,
                         ", the high watermark ", high_watermark));
  }
  CheckOrder(partition, records);
  // A second pass: what was placed before must be there still. (What is read twice or at two
  // places was found when it was placed.)
  const Log& log = logs_[partition];
  for (const auto& [offset, entry] : log.entries) {
    if (offset < log_start || entry.may_be_lost) continue;
    auto it = by_offset.find(offset);
    if (it == by_offset.end() || it->second != entry.value) {
      Violate(absl::StrCat(NameOf(partition), " offset ", offset, ": ", ToString(entry.value),
                           entry.acknowledged ? " was acknowledged" : " was seen", " and is lost",
                           it == by_offset.end() ? "" : "; now there: ",
                           it == by_offset.end() ? "" : ToString(it->second), " (the log has [",
                           log_start, ", ", high_watermark, "))"));
    }
  }
  std::map<ValueId, int64_t> places;
  for (const auto& [offset, value] : by_offset) {
    auto [it, first] = places.emplace(value, offset);
    if (!first) {
      Violate(absl::StrCat(NameOf(partition), ": ", ToString(value), " stands at offsets ",
                           it->second, " and ", offset));
    }
  }
}

void History::CheckFinalTopics(const std::map<std::string, TopicId>& topics) {
  for (const auto& [name, id] : topics) {
    if (!deleted_.contains(id)) continue;
    Violate(absl::StrCat("topic ", name, " is there with the id that was deleted"));
  }
  for (const auto& [id, partitions] : acknowledged_topics_) {
    const std::string& name = names_[id];
    if (delete_requested_.contains(id)) continue;
    auto it = topics.find(name);
    if (it == topics.end() || it->second != id) {
      Violate(absl::StrCat("topic ", name, " was created and acknowledged, and is gone"));
    }
  }
}

void History::CheckAllAnswered() {
  for (const auto& [id, sent] : sent_) {
    if (sent.state == State::kPending) {
      return Violate(
          absl::StrCat("record ", ToString(id), " to ", sent.topic, " was never answered"));
    }
  }
}

}  // namespace catamaran::sim
