#include "client/core/metadata_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"
#include "client/core/leader_hint.h"

namespace catamaran::client::core {

MetadataCore::MetadataCore(MetadataOptions options, Random random)
    : options_(std::move(options)), random_(random) {
  CATAMARAN_CHECK(!options_.bootstrap.empty(), "checked by ValidateClientOptions");
  next_address_ = random_.Below(options_.bootstrap.size());
}

void MetadataCore::Want(const std::string& topic, MonotonicTime now) {
  const auto [it, added] = topics_.emplace(topic, Topic());
  if (added) {
    not_before_ = std::min(not_before_, now);
  } else if (it->second.reported_unknown) {
    Refresh(topic, now);  // whoever wants it now hopes that it was made in the meantime
  }
}

void MetadataCore::Forget(const std::string& topic) { topics_.erase(topic); }

void MetadataCore::Refresh(const std::string& topic, MonotonicTime now) {
  auto it = topics_.find(topic);
  if (it == topics_.end()) return;
  it->second.reported_unknown = false;  // it may have been made in the meantime
  if (std::exchange(it->second.stale, true)) return;
  // A wrong leader is often an election that goes on: give it a moment, and don't let a storm of
  // refusals become a storm of requests.
  not_before_ = std::max(not_before_, now + BackoffAfter(options_.backoff, 1, random_) / 4);
}

bool MetadataCore::Redirect(const std::string& topic, PartitionIndex partition, BrokerId asked,
                            const absl::Status& refusal) {
  auto it = topics_.find(topic);
  if (ReasonOf(refusal) != Reason::kNotLeader || it == topics_.end() || !it->second.known) {
    return false;
  }
  std::vector<PartitionInfo>& partitions = it->second.info.partitions;
  const auto index = static_cast<size_t>(partition.value());
  if (index >= partitions.size()) return false;
  PartitionInfo& known = partitions[index];
  std::optional<LeaderHint> hint = LeaderHintOf(refusal);
  if (hint.has_value() && hint->leader_epoch > known.leader_epoch) {
    known = {hint->leader, hint->leader_epoch};
    if (!hint->address.empty()) addresses_.try_emplace(hint->leader, hint->address);
    ++version_;
  }
  return known.leader != asked && addresses_.contains(known.leader);
}

bool MetadataCore::AnyStale() const {
  return std::any_of(topics_.begin(), topics_.end(),
                     [](const auto& item) { return item.second.stale; });
}

MonotonicTime MetadataCore::next_wake() const {
  if (in_flight_ != kNoCorrelation) return deadline_;
  if (topics_.empty()) return kNever;
  return AnyStale() ? not_before_ : std::max(not_before_, refreshed_at_ + options_.age_max);
}

std::optional<SendMetadata> MetadataCore::TakeRequest(MonotonicTime now) {
  if (in_flight_ != kNoCorrelation && now >= deadline_) {
    Fail(absl::DeadlineExceededError(absl::StrCat("no answer from ", AnyAddress(), " in time")),
         now);
  }
  if (in_flight_ != kNoCorrelation || topics_.empty() || now < next_wake()) return std::nullopt;
  const bool only_stale = AnyStale();
  SendMetadata send;
  for (const auto& [name, topic] : topics_) {
    if (topic.stale || !only_stale) send.request.topics.push_back(name);
  }
  last_correlation_ = CorrelationId(last_correlation_.value() + 1);
  in_flight_ = send.correlation = last_correlation_;
  asked_ = send.request.topics;
  send.address = AnyAddress();
  send.timeout = options_.request_timeout;
  deadline_ = now + options_.request_timeout;
  return send;
}

void MetadataCore::OnAnswer(CorrelationId correlation, absl::StatusOr<MetadataAnswer> answer,
                            MonotonicTime now) {
  if (correlation != in_flight_) return;
  if (!answer.ok()) {
    Fail(answer.status(), now);
    return;
  }
  in_flight_ = kNoCorrelation;
  failures_ = 0;
  last_error_ = absl::OkStatus();
  refreshed_at_ = now;
  not_before_ = now;
  Accept(*answer, now);
}

void MetadataCore::Fail(const absl::Status& status, MonotonicTime now) {
  in_flight_ = kNoCorrelation;
  last_error_ = status;
  ++next_address_;
  // A round through the addresses without a wait, then a wait: a dead first address costs nothing.
  const size_t round = options_.bootstrap.size() + addresses_.size();
  ++failures_;
  const bool wait = round <= 1 || static_cast<size_t>(failures_) % round == 0;
  const int rounds = static_cast<int>(static_cast<size_t>(failures_) / std::max<size_t>(round, 1));
  not_before_ = wait ? now + BackoffAfter(options_.backoff, std::max(rounds, 1), random_) : now;
  for (const std::string& name : asked_) {
    if (auto it = topics_.find(name); it != topics_.end()) it->second.stale = true;
  }
}

void MetadataCore::Accept(const MetadataAnswer& answer, MonotonicTime now) {
  if (answer.cluster_id != cluster_id_) {
    // Another cluster behind the same address (or the first answer): its revisions count anew.
    cluster_id_ = answer.cluster_id;
    brokers_revision_ = MetadataRevision(-1);
    for (auto& [name, topic] : topics_) topic.revision = MetadataRevision(-1);
  }
  if (answer.revision >= brokers_revision_) {
    brokers_revision_ = answer.revision;
    std::map<BrokerId, std::string> addresses;
    for (const BrokerInfo& broker : answer.brokers) addresses[broker.id] = broker.address;
    if (addresses != addresses_) ++version_;
    addresses_ = std::move(addresses);
  }
  std::map<std::string_view, const TopicInfo*> found;
  for (const TopicInfo& topic : answer.topics) found[topic.name] = &topic;
  bool any_absent = false;
  for (const std::string& name : asked_) {
    auto it = topics_.find(name);
    if (it == topics_.end()) continue;
    auto at = found.find(name);
    AcceptTopic(&it->second, at == found.end() ? nullptr : at->second, answer, now);
    any_absent |= it->second.stale;
  }
  if (any_absent) not_before_ = now + BackoffAfter(options_.backoff, 1, random_);
}

void MetadataCore::AcceptTopic(Topic* topic, const TopicInfo* found, const MetadataAnswer& answer,
                               MonotonicTime now) {
  if (answer.revision < topic->revision) {
    ++next_address_;  // this broker lags behind what is known: another one is asked next
    return;           // stays stale
  }
  if (found != nullptr) {
    TopicInfo info = *found;
    if (topic->known && topic->info.id == info.id && topic->revision.value() >= 0) {
      KeepNewerLeaders(topic->info, &info);
    }
    topic->known = true;
    topic->info = std::move(info);
    topic->revision = answer.revision;
    topic->absent_since.reset();
    topic->reported_unknown = false;
    const auto leaderless = [](const PartitionInfo& p) { return p.leader == kNoBroker; };
    topic->stale =
        std::any_of(topic->info.partitions.begin(), topic->info.partitions.end(), leaderless);
    ++version_;
    return;
  }
  if (!topic->absent_since.has_value()) topic->absent_since = now;
  topic->stale = true;
  ++next_address_;  // another broker may have heard of it
  if (now - *topic->absent_since >= options_.unknown_topic_wait) {
    topic->known = false;
    topic->reported_unknown = true;
    topic->stale = false;  // asked for again by age or by Refresh
    topic->absent_since.reset();
    ++version_;
  }
}

void MetadataCore::KeepNewerLeaders(const TopicInfo& known, TopicInfo* found) {
  const size_t count = std::min(known.partitions.size(), found->partitions.size());
  for (size_t i = 0; i < count; ++i) {
    if (known.partitions[i].leader_epoch > found->partitions[i].leader_epoch) {
      found->partitions[i] = known.partitions[i];
    }
  }
}

const TopicInfo* MetadataCore::Find(const std::string& topic) const {
  auto it = topics_.find(topic);
  return it == topics_.end() || !it->second.known ? nullptr : &it->second.info;
}

absl::Status MetadataCore::TopicStatus(const std::string& topic) const {
  auto it = topics_.find(topic);
  if (it == topics_.end() || !it->second.reported_unknown) return absl::OkStatus();
  return MakeError(
      Reason::kUnknownTopic,
      absl::StrCat("There is no topic '", topic,
                   "'. Create it first, or check the name against the list of topics."),
      {{"topic", topic}});
}

std::string MetadataCore::AddressOf(BrokerId broker) const {
  auto it = addresses_.find(broker);
  return it == addresses_.end() ? std::string() : it->second;
}

std::string MetadataCore::AnyAddress() const {
  size_t at = next_address_ % (options_.bootstrap.size() + addresses_.size());
  if (at < options_.bootstrap.size()) return options_.bootstrap[at];
  return std::next(addresses_.begin(), static_cast<ptrdiff_t>(at - options_.bootstrap.size()))
      ->second;
}

}  // namespace catamaran::client::core
