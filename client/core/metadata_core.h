// The client's picture of the cluster: which broker leads which partition. A core: requests go out
// by TakeRequest(), answers and time come in. One owner.
//
// An answer replaces what was known only when its revision isn't older, so that a broker that lags
// can't take the picture back; another cluster id begins anew. Within a topic a partition's leader
// epoch only grows, since a refusal (Redirect) may tell of a newer leader than any answer did. A
// topic that stays unknown to the brokers for `unknown_topic_wait` is reported as kUnknownTopic.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/random.h"
#include "client/core/backoff.h"
#include "client/core/messages.h"

namespace catamaran::client::core {

struct MetadataOptions {
  std::vector<std::string> bootstrap;
  Duration request_timeout = kConnectTimeoutDefault;
  Duration age_max = std::chrono::minutes(5);
  Duration unknown_topic_wait = std::chrono::seconds(1);
  BackoffOptions backoff;
};

class MetadataCore {
 public:
  MetadataCore(MetadataOptions options, Random random);

  // From now on the topic is kept up to date. Idempotent.
  void Want(const std::string& topic, MonotonicTime now);
  void Forget(const std::string& topic);
  // Something known of the topic turned out to be wrong: ask again as soon as the backoff allows.
  void Refresh(const std::string& topic, MonotonicTime now);
  // `asked` refused a request to the partition. Takes the leader that the refusal names, if its
  // epoch is newer than what is known. True when somebody else than `asked` is now known to lead,
  // so that the request may be sent again at once: each such step is to a newer epoch, so they end.
  bool Redirect(const std::string& topic, PartitionIndex partition, BrokerId asked,
                const absl::Status& refusal);

  // The request to send now, if one is due. At most one is under way.
  std::optional<SendMetadata> TakeRequest(MonotonicTime now);
  void OnAnswer(CorrelationId correlation, absl::StatusOr<MetadataAnswer> answer,
                MonotonicTime now);
  // When TakeRequest may have something new; kNever when only an answer can change that.
  MonotonicTime next_wake() const;

  // nullptr while the topic isn't known.
  const TopicInfo* Find(const std::string& topic) const;
  // OK unless the topic is reported as unknown.
  absl::Status TopicStatus(const std::string& topic) const;
  // Empty when the broker isn't known.
  std::string AddressOf(BrokerId broker) const;
  // Any broker's address: known ones and the bootstrap list in turn, moving on at each failure.
  std::string AnyAddress() const;
  void AddressFailed() { ++next_address_; }

  // Counts the changes of topics and brokers, so that owners look only when there are some.
  uint64_t version() const { return version_; }
  // Why the last request failed; OK after one that didn't.
  const absl::Status& last_error() const { return last_error_; }

 private:
  struct Topic {
    bool known = false;
    TopicInfo info;
    MetadataRevision revision{-1};  // of the answer that `info` comes from
    std::optional<MonotonicTime> absent_since;
    bool reported_unknown = false;
    bool stale = true;  // to be asked for
  };

  bool AnyStale() const;
  void Accept(const MetadataAnswer& answer, MonotonicTime now);
  void AcceptTopic(Topic* topic, const TopicInfo* found, const MetadataAnswer& answer,
                   MonotonicTime now);
  static void KeepNewerLeaders(const TopicInfo& known, TopicInfo* found);
  void Fail(const absl::Status& status, MonotonicTime now);

  const MetadataOptions options_;
  Random random_;
  std::map<std::string, Topic> topics_;  // ordered: requests are the same in every run
  std::map<BrokerId, std::string> addresses_;
  std::string cluster_id_;
  MetadataRevision brokers_revision_{-1};

  CorrelationId last_correlation_{0};
  CorrelationId in_flight_ = kNoCorrelation;
  std::vector<std::string> asked_;   // in the request under way
  MonotonicTime deadline_ = kNever;  // of the request under way
  MonotonicTime not_before_;
  MonotonicTime refreshed_at_;
  int failures_ = 0;
  size_t next_address_ = 0;
  uint64_t version_ = 0;
  absl::Status last_error_;
};

}  // namespace catamaran::client::core
