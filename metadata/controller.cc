#include "metadata/controller.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "metadata/hash.h"
#include "metadata/placement.h"
#include "metadata/text.h"
#include "metadata/topic_config.h"

namespace catamaran::metadata {
namespace {

using internal::v1::PartitionRecord;

// RequestResultRecord.command. Persisted, never renumber.
enum class CommandNumber : int32_t {
  kCreateTopic = 1,
  kDeleteTopic = 2,
  kCreatePartitions = 3,
  kUpdateTopicConfig = 4,
};

absl::Status UnknownTopic(std::string_view name) {
  return MakeError(Reason::kUnknownTopic,
                   Cat("There is no topic '", name, "'. List the topics, or create it first."),
                   {{"topic", std::string(name)}});
}

absl::StatusOr<TopicRef> FindForChange(const MetadataImage& image, const std::string& name) {
  CATAMARAN_RETURN_IF_ERROR(ValidateTopicName(name, /*internal=*/false));
  TopicRef topic = image.FindTopic(name);
  if (topic == nullptr) return UnknownTopic(name);
  return topic;
}

// Kafka's metric names turn '.' into '_', so two topics that differ only there are refused as
// there.
absl::Status CheckCollision(const MetadataImage& image, const std::string& name) {
  auto same = [](char a, char b) {
    return a == b || ((a == '.' || a == '_') && (b == '.' || b == '_'));
  };
  if (name.find_first_of("._") == std::string::npos) return absl::OkStatus();
  for (const auto& [other, topic] : image.topics()) {
    if (other.size() != name.size() || other == name) continue;
    if (std::equal(name.begin(), name.end(), other.begin(), same)) {
      return MakeError(Reason::kInvalidTopicName,
                       Cat("Topic '", name, "' collides with '", other,
                           "': the names differ only in '.' and '_', which metric names "
                           "don't tell apart. Choose another name."),
                       {{"topic", name}, {"existing", other}});
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPartitionCount(int64_t wanted, int64_t added, const MetadataImage& image,
                                 const ControllerLimits& limits) {
  if (wanted < 1 || wanted > kPartitionsPerTopicMax) {
    return MakeError(
        Reason::kInvalidArgument,
        Cat("A topic has 1 to ", kPartitionsPerTopicMax, " partitions, not ", wanted, "."),
        {{"partition_count", Cat(wanted)}, {"max", Cat(kPartitionsPerTopicMax)}});
  }
  if (image.partition_count() + added > limits.partitions_max) {
    return MakeError(
        Reason::kLimitExceeded,
        Cat("The cluster would have ", image.partition_count() + added, " partitions; ",
            limits.partitions_max, " are allowed. Delete topics, or raise limits.partitions."),
        {{"partitions", Cat(image.partition_count() + added)},
         {"max", Cat(limits.partitions_max)}});
  }
  return absl::OkStatus();
}

absl::StatusOr<int32_t> ChooseReplicationFactor(int32_t wanted, const MetadataImage& image) {
  int64_t brokers = static_cast<int64_t>(UsableBrokers(image).size());
  if (wanted < 0) {
    return MakeError(
        Reason::kInvalidArgument,
        Cat("The replication factor is ", wanted, ": give 1 or more, or 0 for the default."),
        {{"replication_factor", Cat(wanted)}});
  }
  if (brokers == 0 || wanted > brokers) {
    return MakeError(
        Reason::kReplicationUnavailable,
        Cat("Replication factor ", wanted, " needs as many brokers; there ",
            brokers == 1 ? "is 1." : Cat("are ", brokers, "."),
            " Create the topic with a factor of at most ", std::max<int64_t>(brokers, 1), "."),
        {{"replication_factor", Cat(wanted)}, {"brokers", Cat(brokers)}});
  }
  if (wanted > 0) return wanted;
  return static_cast<int32_t>(std::min<int64_t>(brokers, kDefaultReplicationFactorMax));
}

void AddPartitions(TopicId topic, int32_t from, int32_t to, const std::vector<BrokerId>& brokers,
                   int32_t factor, size_t start, std::vector<Record>* records) {
  for (int32_t index = from; index < to; ++index) {
    PartitionRecord* record = records->emplace_back().mutable_partition();
    record->set_topic_id(topic.uuid.ToBytes());
    record->set_partition(index);
    record->set_leader_epoch(0);
    record->set_partition_epoch(0);
    for (BrokerId broker : PlaceReplicas(brokers, factor, start + index)) {
      record->add_replicas(broker.value());
      record->add_in_sync_replicas(broker.value());
    }
    record->set_leader(record->replicas(0));
  }
}

absl::StatusOr<Decision> Decide(const CreateTopicCommand& command, const MetadataImage& image,
                                const ControllerLimits& limits, Random& random) {
  CATAMARAN_RETURN_IF_ERROR(ValidateTopicName(command.name, command.internal));
  // Stricter than Kafka: command lines, ours too, would take the name for a flag.
  if (command.name.starts_with('-')) {
    return MakeError(Reason::kInvalidTopicName,
                     Cat("'", command.name,
                         "' can't name a topic: names that begin with '-' look "
                         "like flags of a command. Begin with a letter or a digit."),
                     {{"topic", command.name}});
  }
  if (image.FindTopic(command.name) != nullptr) {
    return MakeError(Reason::kTopicExists, Cat("There is a topic '", command.name, "' already."),
                     {{"topic", command.name}});
  }
  CATAMARAN_RETURN_IF_ERROR(CheckCollision(image, command.name));
  int32_t count = command.partition_count == 0 ? kDefaultPartitionCount : command.partition_count;
  CATAMARAN_RETURN_IF_ERROR(CheckPartitionCount(count, count, image, limits));
  CATAMARAN_ASSIGN_OR_RETURN(int32_t factor,
                             ChooseReplicationFactor(command.replication_factor, image));
  CATAMARAN_RETURN_IF_ERROR(ValidateTopicConfigs(command.configs));

  Decision decision;
  do {
    decision.topic = TopicId{random.NextUuid()};
  } while (image.FindTopic(decision.topic) != nullptr);
  auto* topic = decision.records.emplace_back().mutable_topic();
  topic->set_name(command.name);
  topic->set_topic_id(decision.topic.uuid.ToBytes());
  topic->set_internal(command.internal);
  std::vector<BrokerId> brokers = UsableBrokers(image);
  AddPartitions(decision.topic, 0, count, brokers, factor, random.Below(brokers.size()),
                &decision.records);
  for (const auto& [name, value] : command.configs) {
    auto* config = decision.records.emplace_back().mutable_topic_config();
    config->set_topic_id(decision.topic.uuid.ToBytes());
    config->set_name(name);
    config->set_value(value);
  }
  return decision;
}

absl::StatusOr<Decision> Decide(const DeleteTopicCommand& command, const MetadataImage& image,
                                const ControllerLimits&, Random&) {
  CATAMARAN_ASSIGN_OR_RETURN(TopicRef topic, FindForChange(image, command.name));
  if (command.id && *command.id != topic->id) {
    return MakeError(Reason::kTopicIdMismatch,
                     Cat("Topic '", command.name, "' has the id ", topic->id.uuid.ToString(),
                         ", not ", command.id->uuid.ToString(),
                         ": it was deleted and created again. Nothing was deleted."),
                     {{"topic", command.name}, {"topic_id", topic->id.uuid.ToString()}});
  }
  Decision decision;
  decision.topic = topic->id;
  decision.answer = TopicDeletedAnswer{topic->id};
  decision.records.emplace_back().mutable_topic_removed()->set_topic_id(topic->id.uuid.ToBytes());
  return decision;
}

absl::StatusOr<Decision> Decide(const CreatePartitionsCommand& command, const MetadataImage& image,
                                const ControllerLimits& limits, Random& random) {
  CATAMARAN_ASSIGN_OR_RETURN(TopicRef topic, FindForChange(image, command.name));
  int32_t present = static_cast<int32_t>(topic->partitions.size());
  if (command.partition_count <= present) {
    return MakeError(
        Reason::kInvalidArgument,
        Cat("Topic '", command.name, "' has ", present,
            " partitions already and can't have fewer: give a total above "
            "that, not ",
            command.partition_count, "."),
        {{"partition_count", Cat(command.partition_count)}, {"present", Cat(present)}});
  }
  CATAMARAN_RETURN_IF_ERROR(CheckPartitionCount(command.partition_count,
                                                command.partition_count - present, image, limits));
  int32_t factor = present == 0 ? 1 : static_cast<int32_t>(topic->partitions[0].replicas.size());
  CATAMARAN_ASSIGN_OR_RETURN(factor, ChooseReplicationFactor(factor, image));
  Decision decision;
  decision.topic = topic->id;
  std::vector<BrokerId> brokers = UsableBrokers(image);
  AddPartitions(topic->id, present, command.partition_count, brokers, factor,
                random.Below(brokers.size()), &decision.records);
  return decision;
}

absl::StatusOr<Decision> Decide(const UpdateTopicConfigCommand& command, const MetadataImage& image,
                                const ControllerLimits&, Random&) {
  CATAMARAN_ASSIGN_OR_RETURN(TopicRef topic, FindForChange(image, command.name));
  if (command.expected_version && *command.expected_version != topic->version) {
    return MakeError(Reason::kVersionMismatch,
                     Cat("Topic '", command.name, "' is at version ", topic->version.value(),
                         ", not ", command.expected_version->value(),
                         ": somebody changed it. Read it again and decide anew."),
                     {{"topic", command.name}, {"version", Cat(topic->version.value())}});
  }
  if (command.set.size() + command.remove.size() > kTopicConfigsMax) {
    return MakeError(Reason::kInvalidArgument,
                     Cat("At most ", kTopicConfigsMax, " settings in one request."),
                     {{"max", Cat(kTopicConfigsMax)}});
  }
  std::map<std::string, std::string> after = topic->configs;
  for (const auto& [name, value] : command.set) after[name] = value;
  for (const std::string& name : command.remove) {
    CATAMARAN_RETURN_IF_ERROR(CheckTopicConfigName(name));
    if (command.set.count(name) > 0) {
      return MakeError(Reason::kInvalidArgument,
                       Cat("Setting '", name, "' is both set and removed."), {{"config", name}});
    }
    after.erase(name);
  }
  CATAMARAN_RETURN_IF_ERROR(ValidateTopicConfigs(command.set));
  CATAMARAN_RETURN_IF_ERROR(ValidateTopicConfigs(after));

  Decision decision;
  decision.topic = topic->id;
  auto add = [&](const std::string& name) {
    auto* config = decision.records.emplace_back().mutable_topic_config();
    config->set_topic_id(topic->id.uuid.ToBytes());
    config->set_name(name);
    return config;
  };
  for (const auto& [name, value] : after) {
    auto it = topic->configs.find(name);
    if (it == topic->configs.end() || it->second != value) add(name)->set_value(value);
  }
  for (const auto& [name, value] : topic->configs) {
    if (after.count(name) == 0) add(name);
  }
  return decision;
}

absl::StatusOr<Decision> Decide(const AllocateProducerIdsCommand& command,
                                const MetadataImage& image, const ControllerLimits&, Random&) {
  if (image.brokers().count(command.broker) == 0) {
    return MakeError(Reason::kInvalidArgument,
                     Cat("Broker ", command.broker.value(), " isn't registered."),
                     {{"broker_id", Cat(command.broker.value())}});
  }
  int64_t first = image.next_producer_id().value();
  if (first > INT64_MAX - kProducerIdsPerBlock) {
    return MakeError(Reason::kLimitExceeded, "All producer ids are used up.");
  }
  Decision decision;
  auto* record = decision.records.emplace_back().mutable_producer_ids();
  record->set_broker_id(command.broker.value());
  record->set_next_producer_id(first + kProducerIdsPerBlock);
  decision.answer = ProducerIdBlock{ProducerId(first), kProducerIdsPerBlock};
  return decision;
}

absl::Status CheckRegistration(const RegisterBrokerCommand& command, const MetadataImage& image) {
  if (command.broker.value() < 0 || command.directory.uuid.is_nil() || command.address.empty() ||
      command.address.size() > kBrokerAddressBytesMax ||
      command.rack.size() > kBrokerRackBytesMax) {
    return MakeError(Reason::kInvalidArgument,
                     "A broker registers with an id of 0 or more, a directory id, an address and a "
                     "rack of bounded length.");
  }
  ClusterId cluster = image.cluster_id();
  if (!cluster.uuid.is_nil() && command.cluster != cluster) {
    return MakeError(
        Reason::kDirectoryMismatch,
        Cat("Broker ", command.broker.value(), " belongs to cluster ",
            command.cluster.uuid.ToString(), ", this is ", cluster.uuid.ToString(), "."),
        {{"cluster_id", cluster.uuid.ToString()}});
  }
  if (command.cluster.uuid.is_nil()) {
    return MakeError(Reason::kInvalidArgument, "A broker registers with its cluster's id.");
  }
  return absl::OkStatus();
}

// See RegisterBrokerCommand: every partition that `broker` leads gets a new leader epoch.
void BumpLeaderEpochs(BrokerId broker, const MetadataImage& image, std::vector<Record>* records) {
  for (const auto& [name, topic] : image.topics()) {
    for (size_t i = 0; i < topic->partitions.size(); ++i) {
      const PartitionState& before = topic->partitions[i];
      if (before.leader != broker) continue;
      PartitionRecord* after =
          records->emplace_back().mutable_partition_change()->mutable_partition();
      after->set_topic_id(topic->id.uuid.ToBytes());
      after->set_partition(static_cast<int32_t>(i));
      after->set_leader(broker.value());
      after->set_leader_epoch(before.leader_epoch.value() + 1);
      after->set_partition_epoch(before.partition_epoch + 1);
      for (BrokerId id : before.replicas) after->add_replicas(id.value());
      for (BrokerId id : before.in_sync_replicas) after->add_in_sync_replicas(id.value());
      for (BrokerId id : before.eligible_leader_replicas) {
        after->add_eligible_leader_replicas(id.value());
      }
    }
  }
}

absl::StatusOr<Decision> Decide(const RegisterBrokerCommand& command, const MetadataImage& image,
                                const ControllerLimits&, Random&) {
  CATAMARAN_RETURN_IF_ERROR(CheckRegistration(command, image));
  Decision decision;
  if (image.cluster_id().uuid.is_nil()) {
    decision.records.emplace_back().mutable_cluster()->set_cluster_id(
        command.cluster.uuid.ToBytes());
  }
  auto* record = decision.records.emplace_back().mutable_broker();
  record->set_broker_id(command.broker.value());
  // Above every epoch there ever was, since revisions only rise.
  int64_t epoch = image.revision().value() + 1;
  record->set_broker_epoch(epoch);
  record->set_directory_id(command.directory.uuid.ToBytes());
  record->set_address(command.address);
  record->set_rack(command.rack);
  auto before = image.brokers().find(command.broker);
  if (before != image.brokers().end() && !before->second.fenced) {
    BumpLeaderEpochs(command.broker, image, &decision.records);
  }
  decision.answer = BrokerAnswer{epoch};
  return decision;
}

absl::StatusOr<Decision> Decide(const FenceBrokerCommand& command, const MetadataImage& image,
                                const ControllerLimits&, Random&) {
  Decision decision;
  decision.answer = BrokerAnswer{command.epoch};
  auto it = image.brokers().find(command.broker);
  if (it == image.brokers().end() || it->second.epoch != command.epoch) {
    return MakeError(Reason::kFencedEpoch,
                     Cat("Broker ", command.broker.value(), " isn't registered with epoch ",
                         command.epoch, " any more."),
                     {{"broker_id", Cat(command.broker.value())}});
  }
  if (it->second.fenced) return decision;
  auto* record = decision.records.emplace_back().mutable_broker_change();
  record->set_broker_id(command.broker.value());
  record->set_broker_epoch(command.epoch);
  record->set_fenced(true);
  return decision;
}

absl::StatusOr<Decision> Decide(const ClaimControllerCommand& command, const MetadataImage& image,
                                const ControllerLimits&, Random&) {
  Decision decision;
  decision.answer = BrokerAnswer{};
  if (image.controller() == command.broker) return decision;
  decision.records.emplace_back().mutable_controller_change()->set_controller_id(
      command.broker.value());
  return decision;
}

// --- Repeated requests ---------------------------------------------------------------------------

struct Fingerprint {
  CommandNumber number;
  std::string name;
  StableHash hash;
};

Fingerprint Begin(CommandNumber number, const std::string& name) {
  Fingerprint result{number, name, {}};
  result.hash.Add(static_cast<uint64_t>(number));
  result.hash.AddString(name);
  return result;
}

Fingerprint FingerprintOf(const CreateTopicCommand& command) {
  Fingerprint result = Begin(CommandNumber::kCreateTopic, command.name);
  result.hash.AddSigned(command.partition_count);
  result.hash.AddSigned(command.replication_factor);
  for (const auto& [name, value] : command.configs) {
    result.hash.AddString(name);
    result.hash.AddString(value);
  }
  return result;
}

Fingerprint FingerprintOf(const DeleteTopicCommand& command) {
  Fingerprint result = Begin(CommandNumber::kDeleteTopic, command.name);
  if (command.id) result.hash.AddString(command.id->uuid.ToBytes());
  return result;
}

Fingerprint FingerprintOf(const CreatePartitionsCommand& command) {
  Fingerprint result = Begin(CommandNumber::kCreatePartitions, command.name);
  result.hash.AddSigned(command.partition_count);
  return result;
}

Fingerprint FingerprintOf(const UpdateTopicConfigCommand& command) {
  Fingerprint result = Begin(CommandNumber::kUpdateTopicConfig, command.name);
  result.hash.Add(command.set.size());
  for (const auto& [name, value] : command.set) {
    result.hash.AddString(name);
    result.hash.AddString(value);
  }
  for (const std::string& name : command.remove) result.hash.AddString(name);
  if (command.expected_version) result.hash.AddSigned(command.expected_version->value());
  return result;
}

// Commands of the cluster itself aren't repeated by request id.
std::optional<Fingerprint> FingerprintOf(const AllocateProducerIdsCommand&) { return std::nullopt; }
std::optional<Fingerprint> FingerprintOf(const RegisterBrokerCommand&) { return std::nullopt; }
std::optional<Fingerprint> FingerprintOf(const FenceBrokerCommand&) { return std::nullopt; }
std::optional<Fingerprint> FingerprintOf(const ClaimControllerCommand&) { return std::nullopt; }

absl::StatusOr<Decision> AnswerRepeated(const RequestResult& result, const Fingerprint& fingerprint,
                                        const MetadataImage& image) {
  if (result.command != static_cast<int32_t>(fingerprint.number) ||
      result.fingerprint != fingerprint.hash.value()) {
    return MakeError(Reason::kInvalidArgument,
                     Cat("Request id '", result.request_id,
                         "' was used before for another request. Use a new one for each "
                         "request; repeat one only to retry the very same."),
                     {{"request_id", result.request_id}});
  }
  Decision decision;
  decision.topic = result.topic;
  if (fingerprint.number == CommandNumber::kDeleteTopic) {
    decision.answer = TopicDeletedAnswer{result.topic};
  } else if (image.FindTopic(result.topic) == nullptr) {
    return MakeError(Reason::kUnknownTopic,
                     Cat("The request was carried out before, on topic '", result.topic_name,
                         "', which has been deleted since."),
                     {{"topic", result.topic_name}});
  }
  return decision;
}

absl::Status CheckRequestId(const std::string& id) {
  bool printable = std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 127; });
  if (id.size() <= kRequestIdBytesMax && printable) return absl::OkStatus();
  return MakeError(Reason::kInvalidArgument,
                   Cat("A request id has at most ", kRequestIdBytesMax,
                       " printable ASCII characters; a UUID is best."),
                   {{"max", Cat(kRequestIdBytesMax)}});
}

}  // namespace

absl::StatusOr<Decision> Handle(const Command& command, const CommandOptions& options,
                                const MetadataImage& image, const ControllerLimits& limits,
                                Random& random) {
  CATAMARAN_RETURN_IF_ERROR(CheckRequestId(options.request_id));
  std::optional<Fingerprint> fingerprint;
  if (!options.request_id.empty() && !options.validate_only) {
    fingerprint = std::visit(
        [](const auto& c) -> std::optional<Fingerprint> { return FingerprintOf(c); }, command);
  }
  if (fingerprint) {
    const RequestResult* result = image.FindRequestResult(options.request_id);
    if (result != nullptr) return AnswerRepeated(*result, *fingerprint, image);
  }
  absl::StatusOr<Decision> decision =
      std::visit([&](const auto& c) { return Decide(c, image, limits, random); }, command);
  if (!decision.ok() || !fingerprint) return decision;
  auto* record = decision->records.emplace_back().mutable_request_result();
  record->set_request_id(options.request_id);
  record->set_command(static_cast<int32_t>(fingerprint->number));
  record->set_fingerprint(fingerprint->hash.value());
  record->set_topic_id(decision->topic.uuid.ToBytes());
  record->set_topic_name(fingerprint->name);
  return decision;
}

Answer AnswerOf(const Decision& decision, const MetadataImage& after) {
  if (decision.answer) return *decision.answer;
  return TopicAnswer{after.FindTopic(decision.topic)};
}

absl::Status ValidateTopicName(std::string_view name, bool internal) {
  auto refuse = [&name](std::string_view why) {
    std::string shown(name.substr(0, kTopicNameBytesMax));
    for (char& c : shown) c = c > ' ' && c < 127 ? c : '?';
    return MakeError(Reason::kInvalidTopicName, Cat("'", shown, "' can't name a topic: ", why),
                     {{"topic", shown}});
  };
  if (name.empty()) return refuse("it is empty.");
  if (name.size() > kTopicNameBytesMax) {
    return refuse(
        Cat("it has ", name.size(), " characters, at most ", kTopicNameBytesMax, " are allowed."));
  }
  if (name == "." || name == "..") return refuse("'.' and '..' are reserved.");
  for (char c : name) {
    bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '.' || c == '_' || c == '-';
    if (!allowed) return refuse("use letters, digits, '.', '_' and '-' only.");
  }
  if (!internal && name.starts_with("__")) {
    return refuse("names that begin with '__' belong to the cluster itself.");
  }
  return absl::OkStatus();
}

}  // namespace catamaran::metadata
