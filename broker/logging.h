// Log lines: an event id, a sentence and keys with values, as text or JSON, one line each, on
// stderr. Bounded in rate, so that a storm of errors neither fills a disk nor slows the broker.
// Cores don't log.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace catamaran::broker {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };
enum class LogFormat : uint8_t { kText, kJson };

// At most this many lines a second (errors too); a line tells how many were left out.
inline constexpr int kLogLinesPerSecondMax = 200;

// Once, before the first line and before there are threads. `node` stands in each line.
void InitLogging(LogLevel level, LogFormat format, int32_t node);

using LogFields = std::initializer_list<std::pair<std::string_view, std::string>>;

// `event` is stable, lower_snake_case, e.g. "broker_started"; `message` is a sentence, which for
// warnings and errors ends with what to do next. Thread-safe; does nothing below the level.
void Log(LogLevel level, std::string_view event, std::string_view message, LogFields fields = {});

// Flushes; lines after it go to stderr unbuffered.
void StopLogging();

// The line as it is written, without its newline (for tests).
std::string FormatLogLine(LogFormat format, int64_t wall_ms, LogLevel level, int32_t node,
                          std::string_view event, std::string_view message,
                          const std::pair<std::string_view, std::string>* fields,
                          size_t field_count);

}  // namespace catamaran::broker
