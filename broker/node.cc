#include "broker/node.h"

#include <utility>

namespace catamaran::broker {

BrokerNode::BrokerNode(NodeSeams seams, std::vector<Executor*> shards, NodeOptions options)
    : catalog_(std::make_shared<TopicCatalog>(seams.metadata, options.self,
                                              std::move(options.topic_defaults))),
      replicas_(shards, seams, catalog_, options.replicas),
      producer_ids_(seams.metadata, options.self),
      random_(Random(options.seed)),
      context_{.clock = seams.clock,
               .pool = seams.pool,
               .executor = shards.front(),
               .catalog = catalog_.get(),
               .replicas = &replicas_,
               .producer_ids = &producer_ids_,
               .counters = seams.counters,
               .random = &random_,
               .fetch_streams = &fetch_streams_,
               .limits = options.limits},
      produce_api_(&context_, &producer_ids_),
      fetch_api_(&context_),
      batch_api_(&context_),
      offsets_api_(&context_) {}

BrokerNode::~BrokerNode() = default;

}  // namespace catamaran::broker
