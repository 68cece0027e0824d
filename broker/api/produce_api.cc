#include "broker/api/produce_api.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "broker/api/encode.h"
#include "broker/api/produce_session.h"

namespace catamaran::broker {

void ProduceApi::InitProducerId(const CallContext&, v1::InitProducerIdRequest request,
                                Reply<v1::InitProducerIdResponse> reply) {
  constexpr int32_t kEpochMax = std::numeric_limits<int16_t>::max();
  if (request.has_current()) {
    const v1::ProducerIdentity& current = request.current();
    const bool given_out =
        current.producer_id() >= 0 &&
        current.producer_id() < context_->catalog->service()->image()->next_producer_id().value();
    if (!given_out || current.producer_epoch() < 0 || current.producer_epoch() > kEpochMax) {
      reply(MakeError(
          Reason::kUnknownProducer,
          absl::StrCat("Producer ", current.producer_id(), " epoch ", current.producer_epoch(),
                       " was never given out: ask for a new id without `current`."),
          {{"producer_id", absl::StrCat(current.producer_id())},
           {"producer_epoch", absl::StrCat(current.producer_epoch())}}));
      return;
    }
    absl::StatusOr<std::optional<int32_t>> epoch =
        ids_->NextEpoch(ProducerId(current.producer_id()), current.producer_epoch());
    if (!epoch.ok()) {
      reply(epoch.status());
      return;
    }
    if (epoch->has_value()) {
      v1::InitProducerIdResponse response;
      response.mutable_producer()->set_producer_id(current.producer_id());
      response.mutable_producer()->set_producer_epoch(**epoch);
      reply(std::move(response));
      return;
    }
  }
  ids_->Next([reply = std::move(reply)](absl::StatusOr<ProducerId> id) mutable {
    if (!id.ok()) {
      reply(id.status());
      return;
    }
    v1::InitProducerIdResponse response;
    response.mutable_producer()->set_producer_id(id->value());
    response.mutable_producer()->set_producer_epoch(0);
    reply(std::move(response));
  });
}

namespace {

absl::StatusOr<EncodeOptions> MakeEncodeOptions(const v1::ProduceRequest& request) {
  EncodeOptions options;
  CATAMARAN_ASSIGN_OR_RETURN(options.codec, ToCodec(request.compression()));
  if (!request.has_producer()) {
    if (request.base_sequence() != 0) {
      return MakeError(Reason::kInvalidArgument,
                       "`base_sequence` is set without `producer`: set both, or neither.",
                       {{"field", "base_sequence"}});
    }
    return options;
  }
  const v1::ProducerIdentity& producer = request.producer();
  if (!request.has_partition()) {
    return MakeError(Reason::kInvalidArgument,
                     "A produce with a producer identity needs `partition`, since sequences count "
                     "on each partition. A ProduceSession does that for you.",
                     {{"field", "partition"}});
  }
  if (producer.producer_id() < 0 || producer.producer_epoch() < 0 ||
      producer.producer_epoch() > std::numeric_limits<int16_t>::max() ||
      request.base_sequence() < 0) {
    return MakeError(Reason::kInvalidArgument,
                     "`producer` and `base_sequence` must not be negative, and the epoch at most "
                     "32767: take the identity from InitProducerId.",
                     {{"field", "producer"}});
  }
  options.producer_id = ProducerId(producer.producer_id());
  options.producer_epoch = ProducerEpoch(static_cast<int16_t>(producer.producer_epoch()));
  options.base_sequence = Sequence(request.base_sequence());
  return options;
}

}  // namespace

void ProduceApi::Produce(const CallContext& call, v1::ProduceRequest request,
                         Reply<v1::ProduceResponse> reply) {
  struct Prepared {
    CatalogTopicRef topic;
    AckPolicy policy;
    EncodeOptions options;
    std::vector<PartitionRecords> parts;
  };
  auto prepare = [&]() -> absl::StatusOr<Prepared> {
    Prepared prepared;
    CATAMARAN_ASSIGN_OR_RETURN(prepared.topic,
                               context_->catalog->FindByName(request.topic(), request.topic_id()));
    CATAMARAN_ASSIGN_OR_RETURN(prepared.policy,
                               MakeAckPolicy(call, context_->clock->Now(), request.acks(),
                                             request.durability(), request.timeout_ms()));
    CATAMARAN_ASSIGN_OR_RETURN(prepared.options, MakeEncodeOptions(request));
    const auto count = static_cast<int32_t>(prepared.topic->topic->partitions.size());
    std::optional<PartitionIndex> partition;
    if (request.has_partition()) {
      partition = PartitionIndex(request.partition());
      CATAMARAN_RETURN_IF_ERROR(context_->catalog->CheckLeader(*prepared.topic, *partition));
    }
    PartitionIndex keyless(
        static_cast<int32_t>(context_->random->Below(static_cast<uint64_t>(count))));
    CATAMARAN_ASSIGN_OR_RETURN(prepared.parts,
                               Partition(request.records(), partition, keyless, count));
    return prepared;
  };
  absl::StatusOr<Prepared> prepared = prepare();
  if (!prepared.ok()) {
    reply(prepared.status());
    return;
  }
  const bool quick = prepared->options.codec == Codec::kNone;
  auto encode = [context = context_, prepared = *std::move(prepared), request = std::move(request),
                 reply = std::move(reply)]() mutable {
    auto done = [reply = std::move(reply), id = prepared.topic->topic->id.uuid.ToBytes()](
                    std::vector<v1::ProduceResponse::PartitionResult> results,
                    const std::vector<absl::Status>&) mutable {
      v1::ProduceResponse response;
      response.set_topic_id(std::move(id));
      for (auto& result : results) *response.add_results() = std::move(result);
      reply(std::move(response));
    };
    EncodeAndDispatch(*context, *prepared.topic, request.records(), prepared.parts, prepared.policy,
                      prepared.options, {}, std::move(done));
  };
  if (quick) {
    encode();
  } else {
    context_->RunOnPool(std::move(encode));  // compressing takes long
  }
}

std::shared_ptr<StreamSession<v1::ProduceSessionRequest>> ProduceApi::ProduceSession(
    const CallContext& call, std::shared_ptr<StreamWriter<v1::ProduceSessionResponse>> writer) {
  return std::make_shared<ProduceSessionHandler>(context_, ids_, call, std::move(writer));
}

}  // namespace catamaran::broker
