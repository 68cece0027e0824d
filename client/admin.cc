#include "client/admin.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/error.h"
#include "base/mutex.h"
#include "base/random.h"
#include "catamaran/v1/batch_service.grpc.pb.h"
#include "catamaran/v1/cluster_service.grpc.pb.h"
#include "catamaran/v1/topic_service.grpc.pb.h"
#include "client/core/backoff.h"
#include "client/core/leader_hint.h"
#include "client/rpc/admin_convert.h"
#include "client/rpc/convert.h"
#include "client/rpc/rpc_client.h"
#include "client/rpc/rpc_status.h"

namespace catamaran::client {
namespace {

// How long one address may take to connect before the next is tried, when there are several.
constexpr Duration kConnectSlice = std::chrono::milliseconds(200);
constexpr int32_t kListPageSize = 1'000;
// Refusals that name another leader are followed at once so many times, then with a wait.
constexpr int kRedirectsMax = 3;

gpr_timespec After(Duration duration) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_nanos(std::max(duration, Duration(0)).count(), GPR_TIMESPAN));
}

}  // namespace

class Admin::Impl {
 public:
  explicit Impl(const ClientOptions& options) : options_(options) {}

  struct Peer {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<v1::TopicService::Stub> topics;
    std::unique_ptr<v1::ClusterService::Stub> cluster;
    std::unique_ptr<v1::BatchService::Stub> batches;
  };
  enum class Repeat : uint8_t { kSafe, kOnlyIfRejected };

  // Calls `call(peer, context, response)` on one broker after the other until it's answered for
  // good or the time is over. A NOT_LEADER that names the leader is followed there.
  template <class Response, class Call>
  absl::StatusOr<Response> Invoke(Repeat repeat, Call call);
  // The same on one address.
  template <class Response, class Call>
  absl::StatusOr<Response> InvokeAt(const std::string& address, MonotonicTime deadline, Call call);

  absl::StatusOr<std::vector<OffsetAnswer>> ListOffsets(const std::vector<OffsetQuery>& queries,
                                                        IsolationLevel isolation_level);
  std::string NewRequestId() {
    MutexLock lock(&mu_);
    return random_.NextUuid().ToString();
  }
  const ClientOptions& options() const { return options_; }

 private:
  // A connected broker, or kLeaderUnknown naming the addresses.
  absl::StatusOr<std::shared_ptr<Peer>> Connect();
  std::shared_ptr<Peer> PeerAt(const std::string& address);
  // Waits before the next try; false when the deadline comes first.
  bool BackOff(int failures, MonotonicTime deadline);
  // Queries that are still open, and what refusals told of their leaders.
  using OpenQueries = std::map<size_t, core::LeaderHint>;
  // Takes the answered ones out of `open`. True when a refusal named a leader that wasn't known.
  bool AskOnce(const std::vector<OffsetQuery>& queries, IsolationLevel isolation_level,
               MonotonicTime deadline, std::vector<OffsetAnswer>* answers, OpenQueries* open);
  // What one leader is asked.
  struct QueryGroup {
    core::SendListOffsets send;
    std::vector<size_t> indexes;  // of each lookup's query
  };
  bool AskAt(const std::string& address, const QueryGroup& group, MonotonicTime deadline,
             std::vector<OffsetAnswer>* answers, OpenQueries* open);

  const ClientOptions options_;
  Clock& clock_ = SystemClock();
  Mutex mu_;
  CondVar never_;  // for waits that nobody cuts short
  Random random_ ABSL_GUARDED_BY(mu_){RandomSeedFromSystem()};
  size_t next_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<std::string, std::shared_ptr<Peer>> peers_ ABSL_GUARDED_BY(mu_);
};

std::shared_ptr<Admin::Impl::Peer> Admin::Impl::PeerAt(const std::string& address) {
  MutexLock lock(&mu_);
  std::shared_ptr<Peer>& peer = peers_[address];
  if (peer == nullptr) {
    peer = std::make_shared<Peer>();
    peer->address = address;
    peer->channel = rpc::MakeChannel(options_, address);
    peer->topics = v1::TopicService::NewStub(peer->channel);
    peer->cluster = v1::ClusterService::NewStub(peer->channel);
    peer->batches = v1::BatchService::NewStub(peer->channel);
  }
  return peer;
}

absl::StatusOr<std::shared_ptr<Admin::Impl::Peer>> Admin::Impl::Connect() {
  const MonotonicTime deadline = clock_.Now() + options_.connect_timeout;
  do {
    std::string address;
    {
      MutexLock lock(&mu_);
      address = options_.bootstrap[next_ % options_.bootstrap.size()];
    }
    std::shared_ptr<Peer> peer = PeerAt(address);
    const Duration rest = deadline - clock_.Now();
    const Duration slice = options_.bootstrap.size() == 1 ? rest : std::min(rest, kConnectSlice);
    if (peer->channel->WaitForConnected(After(slice))) return peer;
    MutexLock lock(&mu_);
    ++next_;
  } while (clock_.Now() < deadline);
  const std::string addresses = absl::StrJoin(options_.bootstrap, ", ");
  return MakeError(Reason::kLeaderUnknown,
                   absl::StrCat("No broker could be reached at ", addresses,
                                ". Check the address and that a broker runs there."),
                   {{"addresses", addresses}});
}

bool Admin::Impl::BackOff(int failures, MonotonicTime deadline) {
  MutexLock lock(&mu_);
  const MonotonicTime until =
      clock_.Now() + core::BackoffAfter({options_.retry_backoff_min, options_.retry_backoff_max},
                                        failures, random_);
  if (until >= deadline) return false;
  for (MonotonicTime now = clock_.Now(); now < until; now = clock_.Now()) {
    never_.WaitFor(&mu_, until - now);
  }
  return true;
}

template <class Response, class Call>
absl::StatusOr<Response> Admin::Impl::InvokeAt(const std::string& address, MonotonicTime deadline,
                                               Call call) {
  std::shared_ptr<Peer> peer = PeerAt(address);
  grpc::ClientContext context;
  context.set_deadline(After(deadline - clock_.Now()));
  Response response;
  const grpc::Status status = call(*peer, &context, &response);
  if (status.ok()) return response;
  return rpc::FromGrpcStatus(status, address);
}

template <class Response, class Call>
absl::StatusOr<Response> Admin::Impl::Invoke(Repeat repeat, Call call) {
  const MonotonicTime deadline = clock_.Now() + options_.request_timeout;
  bool may_be_done = false;
  int redirects = 0;
  std::string leader;  // the address that a refusal named
  for (int failures = 1;; ++failures) {
    absl::Status status;
    std::string address = std::exchange(leader, "");
    if (address.empty()) {
      absl::StatusOr<std::shared_ptr<Peer>> peer = Connect();
      status = peer.status();
      if (peer.ok()) address = (*peer)->address;
    }
    if (!address.empty()) {
      absl::StatusOr<Response> response = InvokeAt<Response>(address, deadline, call);
      if (response.ok()) return response;
      status = response.status();
      const bool unknown = OutcomeOf(status) == Outcome::kUnknown;
      may_be_done |= unknown;
      if (auto hint = core::LeaderHintOf(status); hint.has_value() && hint->address != address) {
        leader = std::move(hint->address);
        if (!leader.empty() && ++redirects <= kRedirectsMax) continue;
      }
      const bool again = unknown ? repeat == Repeat::kSafe : IsRetriable(ReasonOf(status));
      if (again) {
        MutexLock lock(&mu_);
        ++next_;
      }
      if (again && BackOff(failures, deadline)) continue;
    }
    if (!may_be_done) return status;
    if (GetErrorDetail(status).has_value() && OutcomeOf(status) == Outcome::kUnknown) return status;
    return MakeError(Reason::kOutcomeUnknown,
                     absl::StrCat("Nobody knows whether the request was carried out: look before "
                                  "sending it again. The last attempt ended with: ",
                                  status.message()));
  }
}

// ---- offsets ----

absl::StatusOr<std::vector<OffsetAnswer>> Admin::Impl::ListOffsets(
    const std::vector<OffsetQuery>& queries, IsolationLevel isolation_level) {
  std::vector<OffsetAnswer> answers(queries.size());
  OpenQueries open;
  for (size_t i = 0; i < queries.size(); ++i) {
    answers[i].partition = queries[i].partition;
    open.try_emplace(i);
    if (queries[i].at.kind == StartPosition::Kind::kOffset) {
      return MakeError(Reason::kInvalidArgument,
                       "ListOffsets looks up earliest, latest or a time, not an offset.");
    }
  }
  const MonotonicTime deadline = clock_.Now() + options_.request_timeout;
  int redirects = 0;
  for (int failures = 1; !open.empty(); ++failures) {
    const bool redirected = AskOnce(queries, isolation_level, deadline, &answers, &open);
    if (redirected && ++redirects <= kRedirectsMax) continue;
    if (!open.empty() && !BackOff(failures, deadline)) break;
  }
  return answers;
}

bool Admin::Impl::AskOnce(const std::vector<OffsetQuery>& queries, IsolationLevel isolation_level,
                          MonotonicTime deadline, std::vector<OffsetAnswer>* answers,
                          OpenQueries* open) {
  v1::GetMetadataRequest request;
  std::set<std::string> names;
  for (const auto& [i, hint] : *open) names.insert(queries[i].partition.topic);
  for (const std::string& name : names) request.add_topics(name);
  absl::StatusOr<v1::GetMetadataResponse> response = Invoke<v1::GetMetadataResponse>(
      Repeat::kSafe, [&](Peer& peer, grpc::ClientContext* context, v1::GetMetadataResponse* out) {
        return peer.cluster->GetMetadata(context, request, out);
      });
  absl::StatusOr<core::MetadataAnswer> metadata =
      response.ok() ? rpc::FromProto(*response)
                    : absl::StatusOr<core::MetadataAnswer>(response.status());
  if (!metadata.ok()) {
    for (const auto& [i, hint] : *open) (*answers)[i].status = metadata.status();
    open->clear();
    return false;
  }
  std::map<std::string, QueryGroup> by_address;
  for (auto it = open->begin(); it != open->end();) {
    const size_t index = it->first;
    const core::LeaderHint& hint = it->second;
    ++it;
    const OffsetQuery& query = queries[index];
    absl::StatusOr<std::pair<std::string, core::OffsetLookup>> place =
        rpc::PlaceLookup(*metadata, query.partition, query.at);
    if (!place.ok()) {
      (*answers)[index].status = place.status();
      if (!IsRetriable(ReasonOf(place.status()))) open->erase(index);
      continue;
    }
    if (!hint.address.empty() && hint.leader_epoch > place->second.leader_epoch) {
      place->first = hint.address;
      place->second.leader_epoch = hint.leader_epoch;
    }
    QueryGroup& group = by_address[place->first];
    group.send.lookups.push_back(place->second);
    group.indexes.push_back(index);
  }
  bool redirected = false;
  for (auto& [address, group] : by_address) {
    group.send.isolation_level = isolation_level;
    redirected |= AskAt(address, group, deadline, answers, open);
  }
  return redirected;
}

bool Admin::Impl::AskAt(const std::string& address, const QueryGroup& group, MonotonicTime deadline,
                        std::vector<OffsetAnswer>* answers, OpenQueries* open) {
  const v1::ListOffsetsRequest ask = rpc::ToProto(group.send);
  absl::StatusOr<v1::ListOffsetsResponse> found = InvokeAt<v1::ListOffsetsResponse>(
      address, deadline,
      [&](Peer& peer, grpc::ClientContext* context, v1::ListOffsetsResponse* out) {
        return peer.batches->ListOffsets(context, ask, out);
      });
  std::vector<core::OffsetFound> results;
  if (found.ok()) results = rpc::FromProto(*found);
  if (found.ok() && results.size() != group.indexes.size()) {
    found = absl::InternalError(absl::StrCat(address, " answered another number of queries"));
  }
  bool redirected = false;
  for (size_t n = 0; n < group.indexes.size(); ++n) {
    const size_t index = group.indexes[n];
    OffsetAnswer& answer = (*answers)[index];
    answer.status = found.ok() ? results[n].status : found.status();
    if (answer.status.ok()) {
      answer.offset = results[n].offset;
      answer.timestamp = results[n].timestamp;
      answer.leader_epoch = results[n].leader_epoch;
      open->erase(index);
      continue;
    }
    if (auto hint = core::LeaderHintOf(answer.status);
        hint.has_value() && hint->leader_epoch > group.send.lookups[n].leader_epoch) {
      redirected |= !hint->address.empty();
      (*open)[index] = *std::move(hint);
    }
    const bool again =
        !GetErrorDetail(answer.status).has_value() || IsRetriable(ReasonOf(answer.status));
    if (!again) open->erase(index);
  }
  return redirected;
}

// ---- the public face ----

absl::StatusOr<std::unique_ptr<Admin>> Admin::Create(const ClientOptions& options) {
  CATAMARAN_RETURN_IF_ERROR(ValidateClientOptions(options));
  return std::unique_ptr<Admin>(new Admin(std::make_unique<Impl>(options)));
}

Admin::Admin(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Admin::~Admin() = default;

absl::StatusOr<TopicDescription> Admin::CreateTopic(const NewTopic& topic, bool validate_only) {
  v1::CreateTopicRequest request;
  request.set_name(topic.name);
  request.set_partition_count(topic.partition_count);
  request.set_replication_factor(topic.replication_factor);
  request.mutable_configs()->insert(topic.configs.begin(), topic.configs.end());
  request.set_request_id(impl_->NewRequestId());
  request.set_validate_only(validate_only);
  CATAMARAN_ASSIGN_OR_RETURN(
      v1::CreateTopicResponse response,
      impl_->Invoke<v1::CreateTopicResponse>(
          Impl::Repeat::kSafe, [&](Impl::Peer& peer, grpc::ClientContext* context, auto* out) {
            return peer.topics->CreateTopic(context, request, out);
          }));
  return rpc::FromProto(response.topic());
}

absl::StatusOr<TopicDescription> Admin::DescribeTopic(std::string_view name) {
  v1::GetTopicRequest request;
  request.set_name(std::string(name));
  CATAMARAN_ASSIGN_OR_RETURN(
      v1::GetTopicResponse response,
      impl_->Invoke<v1::GetTopicResponse>(
          Impl::Repeat::kSafe, [&](Impl::Peer& peer, grpc::ClientContext* context, auto* out) {
            return peer.topics->GetTopic(context, request, out);
          }));
  return rpc::FromProto(response.topic());
}

absl::StatusOr<std::vector<TopicDescription>> Admin::ListTopics(bool include_internal) {
  std::vector<TopicDescription> topics;
  v1::ListTopicsRequest request;
  request.set_page_size(kListPageSize);
  request.set_include_internal(include_internal);
  do {
    CATAMARAN_ASSIGN_OR_RETURN(
        v1::ListTopicsResponse response,
        impl_->Invoke<v1::ListTopicsResponse>(
            Impl::Repeat::kSafe, [&](Impl::Peer& peer, grpc::ClientContext* context, auto* out) {
              return peer.topics->ListTopics(context, request, out);
            }));
    for (const v1::Topic& topic : response.topics()) {
      CATAMARAN_ASSIGN_OR_RETURN(TopicDescription description, rpc::FromProto(topic));
      topics.push_back(std::move(description));
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return topics;
}

absl::StatusOr<TopicDescription> Admin::AlterTopicConfig(std::string_view name,
                                                         const ConfigChange& change,
                                                         bool validate_only) {
  v1::UpdateTopicConfigRequest request;
  request.set_name(std::string(name));
  request.mutable_set_configs()->insert(change.set.begin(), change.set.end());
  for (const std::string& config : change.remove) request.add_remove_configs(config);
  if (change.expected_version.has_value()) request.set_expected_version(*change.expected_version);
  request.set_request_id(impl_->NewRequestId());
  request.set_validate_only(validate_only);
  CATAMARAN_ASSIGN_OR_RETURN(
      v1::UpdateTopicConfigResponse response,
      impl_->Invoke<v1::UpdateTopicConfigResponse>(
          Impl::Repeat::kSafe, [&](Impl::Peer& peer, grpc::ClientContext* context, auto* out) {
            return peer.topics->UpdateTopicConfig(context, request, out);
          }));
  return rpc::FromProto(response.topic());
}

absl::StatusOr<TopicDescription> Admin::CreatePartitions(std::string_view name,
                                                         int32_t partition_count,
                                                         bool validate_only) {
  v1::CreatePartitionsRequest request;
  request.set_name(std::string(name));
  request.set_partition_count(partition_count);
  request.set_request_id(impl_->NewRequestId());
  request.set_validate_only(validate_only);
  CATAMARAN_ASSIGN_OR_RETURN(
      v1::CreatePartitionsResponse response,
      impl_->Invoke<v1::CreatePartitionsResponse>(
          Impl::Repeat::kSafe, [&](Impl::Peer& peer, grpc::ClientContext* context, auto* out) {
            return peer.topics->CreatePartitions(context, request, out);
          }));
  return rpc::FromProto(response.topic());
}

absl::StatusOr<TopicId> Admin::DeleteTopic(std::string_view name, std::optional<TopicId> topic_id,
                                           bool validate_only) {
  v1::DeleteTopicRequest request;
  request.set_name(std::string(name));
  if (topic_id.has_value()) request.set_topic_id(topic_id->uuid.ToBytes());
  request.set_request_id(impl_->NewRequestId());
  request.set_validate_only(validate_only);
  CATAMARAN_ASSIGN_OR_RETURN(
      v1::DeleteTopicResponse response,
      impl_->Invoke<v1::DeleteTopicResponse>(
          Impl::Repeat::kSafe, [&](Impl::Peer& peer, grpc::ClientContext* context, auto* out) {
            return peer.topics->DeleteTopic(context, request, out);
          }));
  return TopicId{Uuid::FromBytes(response.topic_id()).value_or(Uuid())};
}

absl::StatusOr<Offset> Admin::DeleteRecords(const TopicPartition& partition,
                                            std::optional<Offset> before) {
  v1::DeleteRecordsRequest request;
  request.set_topic(partition.topic);
  request.set_partition(partition.partition.value());
  request.set_before_offset(before.value_or(Offset(-1)).value());
  // "All" repeated would also take what came in between.
  const Impl::Repeat repeat =
      before.has_value() ? Impl::Repeat::kSafe : Impl::Repeat::kOnlyIfRejected;
  CATAMARAN_ASSIGN_OR_RETURN(
      v1::DeleteRecordsResponse response,
      impl_->Invoke<v1::DeleteRecordsResponse>(
          repeat, [&](Impl::Peer& peer, grpc::ClientContext* context, auto* out) {
            return peer.topics->DeleteRecords(context, request, out);
          }));
  return Offset(response.log_start_offset());
}

absl::StatusOr<std::vector<OffsetAnswer>> Admin::ListOffsets(
    const std::vector<OffsetQuery>& queries, IsolationLevel isolation_level) {
  return impl_->ListOffsets(queries, isolation_level);
}

absl::StatusOr<ClusterDescription> Admin::DescribeCluster() {
  CATAMARAN_ASSIGN_OR_RETURN(
      v1::GetClusterInfoResponse response,
      impl_->Invoke<v1::GetClusterInfoResponse>(
          Impl::Repeat::kSafe, [&](Impl::Peer& peer, grpc::ClientContext* context, auto* out) {
            return peer.cluster->GetClusterInfo(context, v1::GetClusterInfoRequest(), out);
          }));
  return rpc::FromProto(response);
}

}  // namespace catamaran::client
