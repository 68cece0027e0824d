// The clients that aren't producers or consumers: an administrator who creates, deletes and changes
// topics, and a verifier who reads everything at the end.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "catamaran/v1/topic_service.pb.h"
#include "tests/sim/sim_clients.h"

namespace catamaran::sim {

// One thing after another; each is repeated under its request id until its outcome is known.
class SimAdmin final : public SimClient {
 public:
  explicit SimAdmin(const ClientWorld& world);

  bool created_all() const { return created_ >= world_.plan->topics.size(); }
  void StopChurn() { churning_ = false; }
  bool idle() const { return !busy_; }

 private:
  struct Known {
    TopicId id;
    int32_t partitions = 0;
  };
  void CreateNext();
  void Create(const TopicPlan& topic, std::function<void()> then);
  void Delete(const TopicPlan& topic, std::function<void()> then);
  void Grow(const TopicPlan& topic);
  void Configure(const TopicPlan& topic);
  void DeleteRecords(const TopicPlan& topic);
  void ChurnLater();
  void Churn();
  // Repeats until there is an answer that settles it.
  template <class Response, class Request>
  void Insist(Method method, Request request, std::function<void(const Response&)> done);
  std::string NextRequestId() { return random_.NextUuid().ToString(); }

  std::map<std::string, Known> topics_;
  size_t created_ = 0;
  bool churning_ = true;
  bool busy_ = true;
};

// Reads all topics from start to end, when nothing is written any more.
class SimVerifier final : public SimClient {
 public:
  explicit SimVerifier(const ClientWorld& world);

  void Start();
  bool done() const { return started_ && open_ == 0; }
  // Where each partition ends. Complete once done().
  const SimConsumer::Ends& ends() const { return ends_; }
  uint64_t records() const { return records_; }

 private:
  struct Scan {
    std::string topic;
    TopicPartitionId partition;
    int64_t log_start = -1;
    int64_t next = 0;
    int again = 0;  // times that it waited for records which others have seen already
    std::vector<History::FinalRecord> records;
  };
  void AskMetadata();
  void OnMetadataAnswer(const v1::GetMetadataResponse& answer);
  void Fetch(const std::shared_ptr<Scan>& scan);
  void OnFetched(const std::shared_ptr<Scan>& scan, const v1::PartitionData& data);
  void Retry(std::function<void()> what);

  bool started_ = false;
  int open_ = 0;
  uint64_t records_ = 0;
  SimConsumer::Ends ends_;
};

}  // namespace catamaran::sim
