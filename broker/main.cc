// catamarand: reads the configuration, starts the broker, waits for a signal, stops it.
#include <google/protobuf/stubs/logging.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "broker/config.h"
#include "broker/logging.h"
#include "broker/process.h"
#include "broker/version.h"
#include "metadata/text.h"

extern char** environ;

// Read by jemalloc at its start. Two arenas are enough for the broker's threads and keep an idle
// one small; a background thread gives unused memory back.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "narenas:2,background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:0";
}

namespace catamaran::broker {
namespace {

using metadata::Cat;
using metadata::FromAbsl;

// docs/configuration.md, "Exit codes".
enum ExitCode { kOk = 0, kFailure = 1, kUsage = 2, kConflict = 4 };

struct Arguments {
  std::string config_file;
  std::string ports_file;
  bool print_config = false;
  bool check_config = false;
  bool help = false;
  bool version = false;
  std::vector<std::pair<std::string, std::string>> flags;
};

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case Reason::kInvalidConfig:
      return kUsage;
    case Reason::kDirectoryInUse:
    case Reason::kDirectoryMismatch:
    case Reason::kUnsupportedVersion:
    case Reason::kAddressInUse:
      return kConflict;
    default:
      return kFailure;
  }
}

absl::StatusOr<Arguments> ParseArguments(int argc, char** argv) {
  Arguments arguments;
  if (const char* file = std::getenv("CATAMARAN_CONFIG")) arguments.config_file = file;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "-h") argument = "--help";
    if (!argument.starts_with("--")) {
      return MakeError(
          Reason::kInvalidConfig,
          Cat("'", argument, "' isn't a flag. Flags are --section.key=value; see --help."));
    }
    size_t equals = argument.find('=');
    std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    if (name == "help") arguments.help = true;
    if (name == "version") arguments.version = true;
    if (name == "print-config") arguments.print_config = true;
    if (name == "check-config") arguments.check_config = true;
    if (name == "help" || name == "version" || name == "print-config" || name == "check-config") {
      continue;
    }
    std::string value;
    if (equals != std::string::npos) {
      value = argument.substr(equals + 1);
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      return MakeError(Reason::kInvalidConfig, Cat("--", name, " needs a value: --", name, "=..."));
    }
    if (name == "config") {
      arguments.config_file = value;
    } else if (name == "ports-file") {
      arguments.ports_file = value;
    } else {
      std::string_view key = KeyOfFriendlyFlag(name);
      arguments.flags.emplace_back(key.empty() ? name : std::string(key), value);
    }
  }
  return arguments;
}

absl::StatusOr<LoadedConfig> Load(const Arguments& arguments) {
  ConfigSources sources;
  sources.flags = arguments.flags;
  sources.file_name = arguments.config_file;
  if (!arguments.config_file.empty()) {
    std::ifstream file(arguments.config_file, std::ios::binary);
    if (!file) {
      return MakeError(Reason::kInvalidConfig,
                       Cat("The configuration file '", arguments.config_file,
                           "' can't be read. Check the name and its permissions."));
    }
    sources.file_text.assign(std::istreambuf_iterator<char>(file), {});
  }
  for (char** variable = environ; *variable != nullptr; ++variable) {
    std::string_view text(*variable);
    size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    sources.environment[std::string(text.substr(0, equals))] = std::string(text.substr(equals + 1));
  }
  return LoadConfig(sources);
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "catamarand: %s\n", std::string(FromAbsl(status.message())).c_str());
  return ExitCodeOf(status);
}

LogLevel LevelOf(std::string_view name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

// Written beside and renamed, so that whoever waits for the file sees it whole.
bool WritePortsFile(const std::string& path, const BrokerProcess& process) {
  if (path.empty()) return true;
  std::string temporary = path + ".tmp";
  {
    std::ofstream file(temporary, std::ios::trunc);
    file << "client=" << JoinHostPort(process.client_address()) << "\n"
         << "http=" << JoinHostPort(process.http_address()) << "\n";
    if (!file.flush()) return false;
  }
  return std::rename(temporary.c_str(), path.c_str()) == 0;
}

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

bool IsStopPending() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

// A second signal while stopping ends the process at once, as a crash would.
void EndOnSecondSignal() {
  signal(SIGTERM, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  sigset_t signals = StopSignals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

int Serve(const Arguments& arguments, const BrokerConfig& config) {
  // protobuf writes a line for every invalid string that a client sends: the client is told
  // instead.
  google::protobuf::SetLogHandler(nullptr);
  signal(SIGPIPE, SIG_IGN);
  umask(077);  // what the broker keeps is for its own user
  // Blocked before there are threads, so that only sigwait() below takes them.
  sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  InitLogging(LevelOf(config.log_level),
              config.log_format == "json" ? LogFormat::kJson : LogFormat::kText,
              static_cast<int32_t>(config.node_id));
  MonotonicTime began = SystemClock().Now();
  auto elapsed_ms = [&began] {
    Duration took = SystemClock().Now() - began;
    return Cat(std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  };
  absl::StatusOr<std::unique_ptr<BrokerProcess>> process =
      BrokerProcess::Start(config, IsStopPending);
  if (!process.ok() && ReasonOf(process.status()) == Reason::kCancelled) {
    Log(LogLevel::kInfo, "start_interrupted", "Stopped while starting; the next start goes on.");
    return kOk;
  }
  if (!process.ok()) {
    Log(LogLevel::kError, "start_failed", FromAbsl(process.status().message()),
        {{"reason", std::string(ReasonName(ReasonOf(process.status())))}});
    return ExitCodeOf(process.status());
  }
  if (!WritePortsFile(arguments.ports_file, **process)) {
    Log(LogLevel::kError, "start_failed", "The ports file can't be written. Check --ports-file.",
        {{"path", arguments.ports_file}});
    (*process)->Stop(std::chrono::milliseconds(config.shutdown_timeout_ms));
    return kFailure;
  }
  Log(LogLevel::kInfo, "broker_started", "The broker serves.",
      {{"client", JoinHostPort((*process)->client_address())},
       {"http", JoinHostPort((*process)->http_address())},
       {"data", config.data_directory},
       {"version", VersionText()},
       {"took_ms", elapsed_ms()}});
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  EndOnSecondSignal();
  Log(LogLevel::kInfo, "broker_stopping", "Stopping; a second signal ends the process at once.",
      {{"signal", signal_number == SIGINT ? "SIGINT" : "SIGTERM"}});
  began = SystemClock().Now();
  if (!(*process)->Stop(std::chrono::milliseconds(config.shutdown_timeout_ms))) {
    Log(LogLevel::kError, "stop_timed_out",
        "Stopping took longer than shutdown.timeout_ms; the process ends as it is and the next "
        "start "
        "recovers. Raise the key if this is normal here.");
    std::_Exit(kFailure);  // threads still work on what a destructor would take away
  }
  Log(LogLevel::kInfo, "broker_stopped", "Stopped cleanly.", {{"took_ms", elapsed_ms()}});
  StopLogging();
  return kOk;
}

int Main(int argc, char** argv) {
  absl::StatusOr<Arguments> arguments = ParseArguments(argc, argv);
  if (!arguments.ok()) return Fail(arguments.status());
  if (arguments->help) {
    std::fputs(HelpText().c_str(), stdout);
    return kOk;
  }
  if (arguments->version) {
    std::printf("catamarand %s\n", VersionText());
    return kOk;
  }
  absl::StatusOr<LoadedConfig> loaded = Load(*arguments);
  if (!loaded.ok()) return Fail(loaded.status());
  if (arguments->print_config) {
    std::fputs(PrintConfig(*loaded).c_str(), stdout);
    return kOk;
  }
  if (arguments->check_config) {
    std::puts("The configuration is valid.");
    return kOk;
  }
  return Serve(*arguments, loaded->config);
}

}  // namespace
}  // namespace catamaran::broker

int main(int argc, char** argv) { return catamaran::broker::Main(argc, argv); }
