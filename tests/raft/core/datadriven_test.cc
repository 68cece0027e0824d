// Runs the scripts in tests/raft/core/testdata: each line of a block is an event for a group of
// cores whose messages and writes move only when the script says so; the text below "----" is what
// they did. CATAMARAN_REWRITE=1 rewrites the files: read the diff.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/raft/core/test_group.h"

namespace catamaran::raft {
namespace {

constexpr std::string_view kFolder = "tests/raft/core/testdata";

class Script {
 public:
  std::string Run(const std::string& line) {
    std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    verb_ = words.at(0);
    words_.assign(words.begin() + 1, words.end());
    arguments_.clear();
    for (const std::string& word : words_) {
      std::vector<std::string> pair = absl::StrSplit(word, absl::MaxSplits('=', 1));
      if (pair.size() == 2) arguments_[pair[0]] = pair[1];
    }
    if (verb_ == "group") {
      Found();
    } else {
      Dispatch();
    }
    return group_->TakeTranscript();
  }

 private:
  static int Number(const std::string& text) {
    int value = 0;
    EXPECT_TRUE(absl::SimpleAtoi(text, &value)) << text;
    return value;
  }
  int Int(const std::string& name, int otherwise) const {
    auto it = arguments_.find(name);
    return it == arguments_.end() ? otherwise : Number(it->second);
  }
  std::vector<int> List(const std::string& name) const {
    std::vector<int> numbers;
    auto it = arguments_.find(name);
    if (it == arguments_.end()) return numbers;
    const std::vector<std::string> words = absl::StrSplit(it->second, ',');
    for (const std::string& word : words) numbers.push_back(Number(word));
    return numbers;
  }
  int Node() const { return Number(words_.at(0)); }

  void Found() {
    Config config;
    config.entries_kept = Int("kept", 0);
    config.append_entries_max = static_cast<size_t>(Int("append-entries", 1'000));
    config.in_flight_messages_max = static_cast<size_t>(Int("in-flight", 64));
    config.snapshot_chunk_bytes_max = static_cast<size_t>(Int("chunk", 4));
    group_ = std::make_unique<TestGroup>(config);
    group_->Found(MembershipOf(List("voters"), List("learners")), List("others"));
  }

  void Change() {
    MembershipChange change;
    for (int node : List("add")) change.push_back(AddLearner{MemberOf(node)});
    for (int node : List("promote")) change.push_back(PromoteLearner{IdOf(node)});
    for (int node : List("demote")) change.push_back(DemoteVoter{IdOf(node)});
    for (int node : List("remove")) change.push_back(RemoveMember{IdOf(node)});
    group_->Change(Node(), change);
  }

  void Dispatch() {
    if (verb_ == "tick") {
      group_->Tick(std::chrono::milliseconds(Int("ms", 0)));
    } else if (verb_ == "timeout") {
      group_->TimeOut(Node());
    } else if (verb_ == "elect") {
      group_->Elect(Node());
    } else if (verb_ == "propose") {
      group_->Propose(Node(), words_.at(1));
    } else if (verb_ == "change") {
      Change();
    } else if (verb_ == "read") {
      group_->Read(Node(), static_cast<RequestId>(Int("id", 0)));
    } else if (verb_ == "transfer") {
      const int to = Int("to", 0);
      group_->Transfer(Node(), to == 0 ? std::nullopt : std::optional<int>(to));
    } else if (verb_ == "close") {
      group_->CloseStream(Node(), Int("peer", 0));
    } else if (verb_ == "snapshot") {
      group_->TakeSnapshot(Node());
    } else if (verb_ == "persist") {
      group_->Persist(Node());
    } else if (verb_ == "deliver") {
      group_->Deliver(Int("from", 0), Int("to", 0));
    } else if (verb_ == "drop") {
      group_->Drop(Int("from", 0), Int("to", 0));
    } else if (verb_ == "stabilize") {
      group_->Stabilize();
    } else if (verb_ == "quietly") {
      // The rest of the line, without what it led to.
      Run(absl::StrJoin(words_, " "));
    } else if (verb_ == "crash") {
      group_->Crash(Node());
    } else if (verb_ == "restart") {
      group_->Restart(Node());
    } else if (verb_ == "status") {
      status_.clear();
      for (const std::string& word : words_) status_ += group_->Status(Number(word));
    } else {
      ADD_FAILURE() << "unknown command " << verb_;
    }
  }

 public:
  std::string TakeStatus() { return std::exchange(status_, std::string()); }

 private:
  std::unique_ptr<TestGroup> group_;
  std::string verb_;
  std::vector<std::string> words_;
  std::map<std::string, std::string> arguments_;
  std::string status_;
};

// Blocks of "commands", "----", "what they did", and an empty line. Lines that begin with '#' are
// for the reader.
std::string RunFile(const std::string& text) {
  Script script;
  std::istringstream in(text);
  std::string line, rewritten, did;
  bool in_output = false;
  while (std::getline(in, line)) {
    if (in_output) {
      if (!line.empty()) continue;
      in_output = false;
      absl::StrAppend(&rewritten, did.empty() ? "ok\n" : did, "\n");
      did.clear();
      continue;
    }
    absl::StrAppend(&rewritten, line, "\n");
    if (line == "----") {
      in_output = true;
    } else if (!line.empty() && line[0] != '#') {
      absl::StrAppend(&did, script.Run(line));
      absl::StrAppend(&did, script.TakeStatus());
    }
  }
  if (in_output) absl::StrAppend(&rewritten, did.empty() ? "ok\n" : did);
  return rewritten;
}

TEST(RaftDatadriven, Scripts) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  ASSERT_GE(paths.size(), 8u) << "run it in the root of the tree";
  for (const std::filesystem::path& path : paths) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    const std::string result = RunFile(text.str());
    if (std::getenv("CATAMARAN_REWRITE") != nullptr) {
      std::ofstream(path) << result;
    } else {
      EXPECT_EQ(result, text.str()) << path << ": if it's meant to be so, CATAMARAN_REWRITE=1";
    }
  }
}

}  // namespace
}  // namespace catamaran::raft
