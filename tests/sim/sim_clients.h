// The real client cores on simulated machines, driven as their shells drive them
// (client/producer.cc, client/consumer.cc), with a load and ears for the history checker.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client/core/consumer_core.h"
#include "client/core/producer_core.h"
#include "client/core/record_accumulator.h"
#include "tests/sim/history.h"
#include "tests/sim/sim_carrier.h"
#include "tests/sim/sim_network.h"
#include "tests/sim/sim_plan.h"

namespace catamaran::sim {

// What was seen at least once, and how often: over a campaign each must have been.
using Coverage = std::map<std::string, uint64_t>;

// What all simulated clients share. Everything must outlive them.
struct ClientWorld {
  World* world = nullptr;
  SimNetwork* network = nullptr;
  History* history = nullptr;
  Coverage* coverage = nullptr;
  const Plan* plan = nullptr;
};

// A machine with one client process.
class SimClient : public CarrierTap {
 public:
  SimClient(const ClientWorld& world, std::string name, CarrierSabotage sabotage);
  ~SimClient() override;

  void OnMetadata(const v1::GetMetadataResponse& answer) override {
    world_.history->OnMetadata(answer);
  }
  void OnAppendAnswer(const client::core::SendAppend& send,
                      const v1::AppendStreamResponse& answer) override;
  void OnFetchAnswer(const client::core::SendFetch& send,
                     const v1::FetchBatchesResponse& answer) override;
  void OnError(Method method, const absl::Status& status) override;

  const std::string& name() const { return name_; }
  SimNode& node() { return node_; }

 protected:
  // The shells' timer: one, moved as the core says.
  void SetTimer(MonotonicTime when, std::function<void()> pump);
  MonotonicTime Now() { return node_.clock().Now(); }
  const TopicPlan* FindTopic(const std::string& name) const;

  const ClientWorld world_;
  const std::string name_;
  SimNode node_;
  Random random_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<SimCarrier> carrier_;

 private:
  TimerId timer_ = kNoTimer;
  MonotonicTime timer_at_ = kNever;
};

class SimProducer final : public SimClient {
 public:
  SimProducer(const ClientWorld& world, int index, const ProducerPlan& plan);
  ~SimProducer() override;

  void StopSending() { sending_ = false; }
  bool idle() const { return pending_ == 0; }
  void CheckInvariants() const { core_.CheckInvariants(); }
  const client::core::ProducerCoreStats& stats() const { return core_.stats(); }

 private:
  void Burst();
  void SendOne();
  void Pump();

  const int index_;
  const ProducerPlan& plan_;
  client::core::ProducerCore core_;
  client::core::RecordAccumulator accumulator_;
  bool sending_ = true;
  bool pump_posted_ = false;
  int64_t next_number_ = 0;
  uint64_t pending_ = 0;
};

class SimConsumer final : public SimClient {
 public:
  SimConsumer(const ClientWorld& world, int index, const ConsumerPlan& plan);

  // True when every assigned partition that is still there was read to the given end.
  using Ends = std::map<client::TopicPartition, int64_t>;
  bool AtEnd(const Ends& ends) const;
  std::string Describe(const Ends& ends) const;
  void Assign(const client::TopicPartition& partition);
  // From now on it reads as fast as it can.
  void Hurry() { hurried_ = true; }
  void CheckInvariants() const { core_.CheckInvariants(); }

 private:
  void PollLater();
  void Poll();
  void OnPollError(const absl::Status& status);
  void Pump();

  const ConsumerPlan& plan_;
  client::core::ConsumerCore core_;
  std::map<client::TopicPartition, History::Reader> readers_;
  bool hurried_ = false;
};

}  // namespace catamaran::sim
