// A few cores, a queue of messages between them and a disk each, all moved by hand: what scripts
// and the tests of the paper's rules drive. Everything that happens is written into a transcript.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/core/raft.h"

namespace catamaran::raft {

ReplicaId IdOf(int node);
Member MemberOf(int node);
Membership MembershipOf(const std::vector<int>& voters, const std::vector<int>& learners = {});
std::string ToString(LogPosition position);
std::string ToString(const Membership& membership);
std::string ToString(const Message& message);

class TestGroup {
 public:
  struct Node {
    std::unique_ptr<Raft> core;  // null: down
    HardState hard_state;        // from here on: on disk
    SnapshotMeta snapshot;
    Log log{LogPosition()};
    std::optional<PersistBatch> writing;
    std::vector<Entry> applied;
    std::vector<ProposalResult> proposals;
    std::vector<ReadResult> reads;
    bool removed = false;
  };

  explicit TestGroup(Config config = Config());

  // Nodes 1..n that are founded with this membership; `others` run and belong to nothing.
  void Found(const Membership& membership, const std::vector<int>& others = {});
  // A node whose disk is as given.
  void Start(int node, HardState hard_state, const Membership& membership,
             const std::vector<Term>& terms);
  void Restart(int node);
  void Crash(int node);

  Raft& At(int node) { return *nodes_.at(node).core; }
  Node& NodeAt(int node) { return nodes_.at(node); }
  MonotonicTime now() const { return now_; }

  // ---- events; each takes the outputs that follow ----
  void Tick(Duration duration);  // of all nodes
  void TimeOut(int node);        // only this node's timer, as soon as it's due
  void Propose(int node, const std::string& payload);
  void Change(int node, const MembershipChange& change);
  void Read(int node, RequestId id);
  RejectReason Transfer(int node, std::optional<int> to);
  void CloseStream(int node, int peer);
  void TakeSnapshot(int node);
  bool Persist(int node);  // the write in flight is done; false: there's none
  StepResult Step(int node, Message message);
  // Steps a message that `from` would send in `term`.
  StepResult Hear(int node, int from, int64_t term, MessageBody body);

  // ---- the network ----
  std::deque<Message>& queue() { return queue_; }
  // Delivers what matches (0: any), in order; returns how much.
  int Deliver(int from = 0, int to = 0);
  int Drop(int from = 0, int to = 0);
  // Delivers and persists until nothing is left.
  void Stabilize();
  // Makes `node` the leader of a group that is otherwise quiet.
  void Elect(int node);

  // Lines of what was sent and decided since the last call.
  std::string TakeTranscript();
  std::string Status(int node);
  void set_auto_persist(bool on) { auto_persist_ = on; }
  // Messages of a kind that `from` has in the queue.
  template <class Body>
  std::vector<Body> Sent(int from, int to = 0) {
    std::vector<Body> found;
    for (const Message& message : queue_) {
      const bool wanted =
          message.from.node.value() == from && (to == 0 || message.to.node.value() == to);
      if (const Body* body = std::get_if<Body>(&message.body); wanted && body) {
        found.push_back(*body);
      }
    }
    return found;
  }

 private:
  void Pump(int node);
  void Serve(int node, Output output);
  void Say(const std::string& line) { transcript_ += line + "\n"; }
  std::unique_ptr<Raft> Make(int node);

  Config config_;
  std::map<int, Node> nodes_;
  std::deque<Message> queue_;
  MonotonicTime now_;
  std::string transcript_;
  bool auto_persist_ = false;
  RequestId next_request_ = 1;
};

}  // namespace catamaran::raft
