// The commands. Each shows its result on the console and answers the exit code; a failure that
// concerns the whole command is its status, which the caller shows.
#pragma once

#include "absl/status/statusor.h"
#include "client/cli/console.h"
#include "client/cli/options.h"

namespace catamaran::cli {

absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicCreate& command,
                             Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicList& command,
                             Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicDescribe& command,
                             Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicAlter& command,
                             Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicAddPartitions& command,
                             Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicDelete& command,
                             Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicDeleteRecords& command,
                             Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const Produce& command, Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const Consume& command, Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const ClusterInfo& command,
                             Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const BenchProduce& command,
                             Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const BenchConsume& command,
                             Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const Completion& command,
                             Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const Complete& command,
                             Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const Reference& command,
                             Console* console);
absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const Version& command, Console* console);

}  // namespace catamaran::cli
