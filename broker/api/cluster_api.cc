#include "broker/api/cluster_api.h"

#include <set>
#include <utility>

#include "base/error.h"
#include "base/mutex.h"
#include "broker/api/proto_convert.h"
#include "metadata/text.h"

namespace catamaran::broker {
namespace {

using metadata::Cat;
using metadata::WatchHub;

absl::Status Cancelled() {
  return MakeError(Reason::kCancelled, "The metadata watch was cancelled.");
}

// Shared by the watch and the hub's wake-ups, which may outlive it.
struct WatchState {
  WatchHub* hub = nullptr;
  metadata::MetadataService* service = nullptr;
  Mutex mu;
  WatchHub::WatcherId id ABSL_GUARDED_BY(mu){0};
  MetadataWatch::OnEvent waiting ABSL_GUARDED_BY(mu);
  bool cancelled ABSL_GUARDED_BY(mu) = false;
};

v1::WatchMetadataResponse ToResponse(const WatchHub::Event& event,
                                     metadata::MetadataService* service) {
  v1::WatchMetadataResponse response;
  if (event.snapshot != nullptr) {
    response.set_revision(event.snapshot->revision().value());
    ToProto(*event.snapshot, response.mutable_snapshot());
  } else {
    ToProto(*event.delta, *service->image(), &response);
  }
  return response;
}

// Answers the outstanding Next() when there is something.
void Deliver(const std::shared_ptr<WatchState>& state) {
  MetadataWatch::OnEvent on_event;
  absl::StatusOr<std::optional<WatchHub::Event>> event = std::nullopt;
  {
    MutexLock lock(&state->mu);
    if (!state->waiting) return;
    if (state->cancelled) {
      event = Cancelled();
    } else {
      event = state->hub->Next(state->id);
    }
    if (event.ok() && !event->has_value()) return;  // the hub will wake us
    on_event = std::exchange(state->waiting, nullptr);
  }
  if (!event.ok()) return on_event(event.status());
  on_event(ToResponse(**event, state->service));
}

class MetadataWatchImpl final : public MetadataWatch {
 public:
  explicit MetadataWatchImpl(std::shared_ptr<WatchState> state) : state_(std::move(state)) {}

  ~MetadataWatchImpl() override {
    Unregister();
    MutexLock lock(&state_->mu);
    state_->waiting = nullptr;
  }

  void Next(OnEvent on_event) override {
    {
      MutexLock lock(&state_->mu);
      state_->waiting = std::move(on_event);
    }
    Deliver(state_);
  }

  void Cancel() override {
    Unregister();
    Deliver(state_);
  }

 private:
  void Unregister() {
    WatchHub::WatcherId id{0};
    {
      MutexLock lock(&state_->mu);
      if (state_->cancelled) return;
      state_->cancelled = true;
      id = state_->id;
    }
    state_->hub->Remove(id);
  }

  const std::shared_ptr<WatchState> state_;
};

}  // namespace

void ClusterApi::GetClusterInfo(const CallContext&, v1::GetClusterInfoRequest,
                                Reply<v1::GetClusterInfoResponse> reply) {
  metadata::ImageRef image = service_->image();
  v1::GetClusterInfoResponse response;
  response.set_cluster_id(image->cluster_id().uuid.ToString());
  response.set_broker_id(options_.broker.value());
  response.set_controller_id(image->controller().value());
  for (const auto& [id, broker] : image->brokers()) ToProto(broker, response.add_brokers());
  int32_t topics = 0;
  int32_t partitions = 0;
  for (const auto& [name, topic] : image->topics()) {
    if (topic->internal) continue;
    ++topics;
    partitions += static_cast<int32_t>(topic->partitions.size());
  }
  response.set_topic_count(topics);
  response.set_partition_count(partitions);
  response.set_revision(image->revision().value());
  response.set_version(options_.version);
  response.mutable_limits()->set_request_bytes_max(options_.request_bytes_max);
  response.mutable_limits()->set_batch_bytes_max(options_.batch_bytes_max);
  reply(std::move(response));
}

void ClusterApi::GetMetadata(const CallContext&, v1::GetMetadataRequest request,
                             Reply<v1::GetMetadataResponse> reply) {
  int asked = request.topics_size() + request.topic_ids_size();
  if (asked > kMetadataTopicsPerRequestMax) {
    return reply(MakeError(Reason::kInvalidArgument,
                           Cat("At most ", kMetadataTopicsPerRequestMax,
                               " topics in one request, not ", asked, ". Ask in parts."),
                           {{"max", Cat(kMetadataTopicsPerRequestMax)}}));
  }
  metadata::ImageRef image = service_->image();
  v1::GetMetadataResponse response;
  if (request.all_topics()) {
    ToProto(*image, &response);
    return reply(std::move(response));
  }
  std::map<std::string, metadata::TopicRef> wanted;  // by name, each once
  for (const std::string& name : request.topics()) {
    if (metadata::TopicRef topic = image->FindTopic(name)) wanted[name] = topic;
  }
  for (const std::string& bytes : request.topic_ids()) {
    absl::StatusOr<TopicId> id = TopicIdFromProto(bytes);
    if (!id.ok()) return reply(id.status());
    if (metadata::TopicRef topic = image->FindTopic(*id)) wanted[topic->name] = topic;
  }
  response.set_cluster_id(image->cluster_id().uuid.ToString());
  response.set_controller_id(image->controller().value());
  response.set_revision(image->revision().value());
  for (const auto& [id, broker] : image->brokers()) ToProto(broker, response.add_brokers());
  for (const auto& [name, topic] : wanted) ToProto(*topic, response.add_topics());
  reply(std::move(response));
}

absl::StatusOr<std::unique_ptr<MetadataWatch>> ClusterApi::WatchMetadata(
    const CallContext&, const v1::WatchMetadataRequest& request) {
  std::optional<MetadataRevision> from;
  if (request.has_from_revision()) {
    if (request.from_revision() < 0) {
      return MakeError(Reason::kInvalidArgument,
                       Cat("from_revision is ", request.from_revision(),
                           ": give a revision that you have seen, or none for a snapshot."),
                       {{"from_revision", Cat(request.from_revision())}});
    }
    from = MetadataRevision(request.from_revision());
  }
  auto state = std::make_shared<WatchState>();
  state->hub = &service_->watch_hub();
  state->service = service_;
  CATAMARAN_ASSIGN_OR_RETURN(WatchHub::WatcherId id,
                             state->hub->Add(from, [state_weak = std::weak_ptr<WatchState>(state)] {
                               if (auto alive = state_weak.lock()) Deliver(alive);
                             }));
  {
    MutexLock lock(&state->mu);
    state->id = id;
  }
  return absl::StatusOr<std::unique_ptr<MetadataWatch>>(
      std::make_unique<MetadataWatchImpl>(std::move(state)));
}

}  // namespace catamaran::broker
