// TopicService without gRPC (all but DeleteRecords, which is the data plane's): checks requests,
// turns them into metadata commands and images into answers.
#pragma once

#include "broker/api/call.h"
#include "catamaran/v1/topic_service.pb.h"
#include "metadata/metadata_service.h"
#include "metadata/topic_config.h"

namespace catamaran::broker {

inline constexpr int32_t kListTopicsPageSizeDefault = 1'000;
inline constexpr int32_t kListTopicsPageSizeMax = 10'000;
// An answer with all partitions of a topic must fit into a message: a page ends early at this many.
inline constexpr int32_t kListTopicsPartitionsPerPageMax = 100'000;

// Thread-safe; keeps no state of its own. `service` must outlive it and the calls. Replies come on
// the caller's thread or on the metadata service's executor.
class TopicApi {
 public:
  TopicApi(metadata::MetadataService* service, metadata::TopicDefaults defaults)
      : service_(service), defaults_(std::move(defaults)) {}

  void CreateTopic(const CallContext& call, v1::CreateTopicRequest request,
                   Reply<v1::CreateTopicResponse> reply);
  void GetTopic(const CallContext& call, v1::GetTopicRequest request,
                Reply<v1::GetTopicResponse> reply);
  void ListTopics(const CallContext& call, v1::ListTopicsRequest request,
                  Reply<v1::ListTopicsResponse> reply);
  void UpdateTopicConfig(const CallContext& call, v1::UpdateTopicConfigRequest request,
                         Reply<v1::UpdateTopicConfigResponse> reply);
  void CreatePartitions(const CallContext& call, v1::CreatePartitionsRequest request,
                        Reply<v1::CreatePartitionsResponse> reply);
  void DeleteTopic(const CallContext& call, v1::DeleteTopicRequest request,
                   Reply<v1::DeleteTopicResponse> reply);

 private:
  metadata::MetadataService* const service_;
  const metadata::TopicDefaults defaults_;
};

}  // namespace catamaran::broker
