#include "broker/logging.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdio>
#include <ctime>
#include <memory>

#include "base/clock.h"
#include "metadata/text.h"

namespace catamaran::broker {
namespace {

using metadata::Cat;

constexpr int64_t kMillisPerSecond = 1'000;

struct State {
  std::shared_ptr<spdlog::logger> logger;
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  int32_t node = -1;
};

State& GetState() {
  static State* state = new State;  // never destroyed: threads may log until the end
  return *state;
}

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "?";
}

std::string TimeText(int64_t wall_ms) {
  std::time_t seconds = static_cast<std::time_t>(wall_ms / kMillisPerSecond);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[48];
  std::snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<int>(wall_ms % kMillisPerSecond));
  return text;
}

// A JSON string, or a quoted value of a text line: control characters and quotes escaped, bytes
// that are not ASCII kept when they may be UTF-8.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", static_cast<unsigned char>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

bool NeedsQuotes(std::string_view value) {
  for (char c : value) {
    if (c <= ' ' || c == '"' || c == '=' || c == 0x7f) return true;
  }
  return value.empty();
}

// Lines of this second; the first of a second reports what the last one left out.
bool TakePlace(int64_t wall_ms, int64_t* left_out) {
  static std::atomic<int64_t> second{0};
  static std::atomic<int64_t> lines{0};
  *left_out = 0;
  int64_t now = wall_ms / kMillisPerSecond;
  int64_t before = second.load(std::memory_order_relaxed);
  if (now != before && second.compare_exchange_strong(before, now)) {
    *left_out = lines.exchange(0) - kLogLinesPerSecondMax;
  }
  return lines.fetch_add(1) < kLogLinesPerSecondMax;
}

spdlog::level::level_enum SpdLevel(LogLevel level) {
  return level == LogLevel::kError ? spdlog::level::err : spdlog::level::info;
}

}  // namespace

std::string FormatLogLine(LogFormat format, int64_t wall_ms, LogLevel level, int32_t node,
                          std::string_view event, std::string_view message,
                          const std::pair<std::string_view, std::string>* fields,
                          size_t field_count) {
  std::string line;
  if (format == LogFormat::kJson) {
    line =
        Cat("{\"time\":\"", TimeText(wall_ms), "\",\"level\":\"", LevelName(level),
            "\",\"node\":", node, ",\"event\":", Quoted(event), ",\"message\":", Quoted(message));
    for (size_t i = 0; i < field_count; ++i) {
      line += Cat(",", Quoted(fields[i].first), ":", Quoted(fields[i].second));
    }
    return line + "}";
  }
  line = Cat(TimeText(wall_ms), " ", LevelName(level), " node=", node, " ", event, ": ", message);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';  // one event, one line
  }
  for (size_t i = 0; i < field_count; ++i) {
    const std::string& value = fields[i].second;
    line += Cat(" ", fields[i].first, "=", NeedsQuotes(value) ? Quoted(value) : value);
  }
  return line;
}

void InitLogging(LogLevel level, LogFormat format, int32_t node) {
  State& state = GetState();
  state.level = level;
  state.format = format;
  state.node = node;
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  state.logger = std::make_shared<spdlog::logger>("catamarand", std::move(sink));
  state.logger->set_pattern("%v");
  state.logger->flush_on(spdlog::level::trace);
}

void Log(LogLevel level, std::string_view event, std::string_view message, LogFields fields) {
  State& state = GetState();
  if (state.logger == nullptr || level < state.level) return;
  int64_t now = SystemClock().WallNow().value();
  int64_t left_out = 0;
  bool has_place = TakePlace(now, &left_out);
  if (left_out > 0) {
    std::pair<std::string_view, std::string> count{"lines", Cat(left_out)};
    state.logger->log(
        spdlog::level::info,
        FormatLogLine(state.format, now, LogLevel::kWarning, state.node, "log_lines_left_out",
                      "More lines than the limit a second: some were left out.", &count, 1));
  }
  if (!has_place) return;
  state.logger->log(SpdLevel(level), FormatLogLine(state.format, now, level, state.node, event,
                                                   message, fields.begin(), fields.size()));
}

void StopLogging() {
  if (GetState().logger != nullptr) GetState().logger->flush();
}

}  // namespace catamaran::broker
