#include "broker/api/topic_api.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "broker/api/proto_convert.h"
#include "metadata/text.h"

namespace catamaran::broker {
namespace {

using metadata::Cat;

template <class Request>
metadata::CommandOptions OptionsOf(const Request& request) {
  return {.request_id = request.request_id(), .validate_only = request.validate_only()};
}

// A metadata reply that answers with the topic as it is now.
template <class Response>
metadata::MetadataService::Reply TopicReply(const metadata::TopicDefaults& defaults,
                                            Reply<Response> reply) {
  return [defaults, reply = std::move(reply)](absl::StatusOr<metadata::Answer> answer) mutable {
    if (!answer.ok()) return reply(answer.status());
    Response response;
    ToProtoWithConfigs(*std::get<metadata::TopicAnswer>(*answer).topic, defaults,
                       response.mutable_topic());
    reply(std::move(response));
  };
}

std::map<std::string, std::string> ConfigsOf(
    const google::protobuf::Map<std::string, std::string>& configs) {
  return {configs.begin(), configs.end()};
}

// A token is the name after which the page begins, behind a letter that tells tokens from names.
constexpr char kPageTokenMark = 'a';

absl::StatusOr<std::string> AfterName(const std::string& token) {
  if (token.empty()) return std::string();
  std::string name = token.substr(1);
  if (token[0] != kPageTokenMark || !metadata::ValidateTopicName(name, /*internal=*/true).ok()) {
    return MakeError(Reason::kInvalidArgument,
                     "The page token isn't one of ours: give next_page_token of the page before, "
                     "or nothing for the first page.");
  }
  return name;
}

absl::Status UnknownTopic(const std::string& what) {
  return MakeError(Reason::kUnknownTopic,
                   Cat("There is no topic '", what, "'. List the topics, or create it first."),
                   {{"topic", what}});
}

absl::StatusOr<metadata::TopicRef> FindTopic(const metadata::MetadataImage& image,
                                             const v1::GetTopicRequest& request) {
  if (request.name().empty() && request.topic_id().empty()) {
    return MakeError(Reason::kInvalidArgument, "Give the topic's name or its topic_id.");
  }
  metadata::TopicRef topic;
  if (!request.name().empty()) {
    CATAMARAN_RETURN_IF_ERROR(metadata::ValidateTopicName(request.name(), /*internal=*/true));
    topic = image.FindTopic(request.name());
    if (topic == nullptr) return UnknownTopic(request.name());
  }
  if (request.topic_id().empty()) return topic;
  CATAMARAN_ASSIGN_OR_RETURN(TopicId id, TopicIdFromProto(request.topic_id()));
  if (topic != nullptr && topic->id != id) {
    return MakeError(Reason::kTopicIdMismatch,
                     Cat("Topic '", topic->name, "' has the id ", topic->id.uuid.ToString(),
                         ", not ", id.uuid.ToString(), "."),
                     {{"topic", topic->name}, {"topic_id", topic->id.uuid.ToString()}});
  }
  if (topic == nullptr) topic = image.FindTopic(id);
  if (topic == nullptr) return UnknownTopic(id.uuid.ToString());
  return topic;
}

}  // namespace

void TopicApi::CreateTopic(const CallContext&, v1::CreateTopicRequest request,
                           Reply<v1::CreateTopicResponse> reply) {
  metadata::CreateTopicCommand command;
  command.name = request.name();
  command.partition_count = request.partition_count();
  command.replication_factor = request.replication_factor();
  command.configs = ConfigsOf(request.configs());
  service_->Submit(std::move(command), OptionsOf(request), TopicReply(defaults_, std::move(reply)));
}

void TopicApi::GetTopic(const CallContext&, v1::GetTopicRequest request,
                        Reply<v1::GetTopicResponse> reply) {
  metadata::ImageRef image = service_->image();
  absl::StatusOr<metadata::TopicRef> topic = FindTopic(*image, request);
  if (!topic.ok()) return reply(topic.status());
  v1::GetTopicResponse response;
  ToProtoWithConfigs(**topic, defaults_, response.mutable_topic());
  reply(std::move(response));
}

void TopicApi::ListTopics(const CallContext&, v1::ListTopicsRequest request,
                          Reply<v1::ListTopicsResponse> reply) {
  if (request.page_size() < 0) {
    return reply(MakeError(
        Reason::kInvalidArgument,
        Cat("page_size is ", request.page_size(), ": give 1 or more, or 0 for the default."),
        {{"page_size", Cat(request.page_size())}}));
  }
  absl::StatusOr<std::string> after = AfterName(request.page_token());
  if (!after.ok()) return reply(after.status());
  int32_t page_size = request.page_size() == 0
                          ? kListTopicsPageSizeDefault
                          : std::min(request.page_size(), kListTopicsPageSizeMax);
  metadata::ImageRef image = service_->image();
  v1::ListTopicsResponse response;
  int64_t partitions = 0;
  for (auto it = image->topics().upper_bound(*after); it != image->topics().end(); ++it) {
    const metadata::TopicState& topic = *it->second;
    if (topic.internal && !request.include_internal()) continue;
    partitions += static_cast<int64_t>(topic.partitions.size());
    bool is_full = response.topics_size() >= page_size ||
                   (response.topics_size() > 0 && partitions > kListTopicsPartitionsPerPageMax);
    if (is_full) {
      const std::string& last = response.topics(response.topics_size() - 1).name();
      response.set_next_page_token(kPageTokenMark + last);
      break;
    }
    ToProto(topic, response.add_topics());
  }
  reply(std::move(response));
}

void TopicApi::UpdateTopicConfig(const CallContext&, v1::UpdateTopicConfigRequest request,
                                 Reply<v1::UpdateTopicConfigResponse> reply) {
  metadata::UpdateTopicConfigCommand command;
  command.name = request.name();
  command.set = ConfigsOf(request.set_configs());
  command.remove = {request.remove_configs().begin(), request.remove_configs().end()};
  if (request.has_expected_version()) {
    command.expected_version = MetadataRevision(request.expected_version());
  }
  service_->Submit(std::move(command), OptionsOf(request), TopicReply(defaults_, std::move(reply)));
}

void TopicApi::CreatePartitions(const CallContext&, v1::CreatePartitionsRequest request,
                                Reply<v1::CreatePartitionsResponse> reply) {
  metadata::CreatePartitionsCommand command{request.name(), request.partition_count()};
  service_->Submit(std::move(command), OptionsOf(request), TopicReply(defaults_, std::move(reply)));
}

void TopicApi::DeleteTopic(const CallContext&, v1::DeleteTopicRequest request,
                           Reply<v1::DeleteTopicResponse> reply) {
  metadata::DeleteTopicCommand command;
  command.name = request.name();
  if (!request.topic_id().empty()) {
    absl::StatusOr<TopicId> id = TopicIdFromProto(request.topic_id());
    if (!id.ok()) return reply(id.status());
    command.id = *id;
  }
  service_->Submit(std::move(command), OptionsOf(request),
                   [reply = std::move(reply)](absl::StatusOr<metadata::Answer> answer) mutable {
                     if (!answer.ok()) return reply(answer.status());
                     v1::DeleteTopicResponse response;
                     TopicId id = std::get<metadata::TopicDeletedAnswer>(*answer).id;
                     response.set_topic_id(id.uuid.ToBytes());
                     reply(std::move(response));
                   });
}

}  // namespace catamaran::broker
