// The commands about records, measurements and the rest.
#include "base/error.h"
#include "client/cli/command_tree.h"

namespace catamaran::cli {
namespace {

constexpr int64_t kRecordBytesMax = 16 << 20;
constexpr int64_t kBatchBytesMin = 1 << 10;
constexpr int64_t kBatchBytesMax = 16 << 20;
constexpr int64_t kCountMax = int64_t{1} << 40;
constexpr int64_t kRateMax = 100'000'000;

std::optional<RecordTemplate> ParseTemplate(std::string_view word) {
  absl::StatusOr<RecordTemplate> parsed = RecordTemplate::Parse(word);
  return parsed.ok() ? std::optional<RecordTemplate>(std::move(*parsed)) : std::nullopt;
}

std::optional<std::string> ParseSeparator(std::string_view word) {
  std::optional<std::string> bytes = Unescape(word);
  return bytes.has_value() && !bytes->empty() ? bytes : std::nullopt;
}

absl::StatusOr<std::vector<HeaderOption>> ParseHeaderOptions(
    const std::vector<std::string>& words) {
  std::vector<HeaderOption> headers;
  for (const std::string& word : words) {
    size_t equals = word.find('=');
    HeaderOption header{word.substr(0, equals), std::nullopt};
    if (equals != word.npos) header.value = word.substr(equals + 1);
    if (header.name.empty() || !IsUtf8(header.name)) {
      return MakeError(
          Reason::kInvalidArgument,
          Cat({"\"", Printable(word), "\" is no header: write name=value, the name in UTF-8."}));
    }
    headers.push_back(std::move(header));
  }
  return headers;
}

constexpr const char* kTemplateForm =
    "template: tokens %t %p %o %k %v %h %T %%, modifiers {hex} {base64} {json} {iso}, escapes \\n "
    "\\t \\r \\0 \\\\ \\xHH";

// The flags of produce whose values need a second look together.
struct ProduceFlags {
  Produce produce;
  std::optional<RecordTemplate> format;
  bool json = false;
  std::vector<std::string> headers;
};

absl::StatusOr<Command> TakeProduce(const ProduceFlags& flags) {
  Produce produce = flags.produce;
  absl::StatusOr<std::vector<HeaderOption>> headers = ParseHeaderOptions(flags.headers);
  if (!headers.ok()) return headers.status();
  produce.headers = std::move(*headers);
  if (flags.format.has_value()) {
    absl::Status readable = ValidateReadable(*flags.format);
    if (!readable.ok()) return readable;
    produce.reader.mode = RecordReaderOptions::Mode::kTemplate;
    produce.reader.format = *flags.format;
  }
  if (flags.json) produce.reader.mode = RecordReaderOptions::Mode::kJson;
  if (produce.receipts && produce.send.acks == client::Acks::kNone) {
    return MakeError(Reason::kInvalidArgument,
                     "--receipts needs acknowledgements: not --acks none.");
  }
  return Command(std::move(produce));
}

}  // namespace

void CommandTree::AddSendOptions(CLI::App* app, SendOptions* send) {
  AddChoice<client::Acks>(app, "--acks", &send->acks,
                          {{"all", client::Acks::kAll},
                           {"leader", client::Acks::kLeader},
                           {"none", client::Acks::kNone}},
                          "Who must have a record before it counts as stored. Default: all");
  AddChoice<client::Durability>(app, "--durability", &send->durability,
                                {{"topic", client::Durability::kTopicDefault},
                                 {"sync", client::Durability::kSync},
                                 {"async", client::Durability::kAsync}},
                                "sync asks for more than an async topic promises. Default: topic");
  AddChoice<Codec>(app, "--compression", &send->compression,
                   {{"none", Codec::kNone},
                    {"gzip", Codec::kGzip},
                    {"snappy", Codec::kSnappy},
                    {"lz4", Codec::kLz4},
                    {"zstd", Codec::kZstd}},
                   "How batches are compressed. Default: none");
  AddDuration(app, "--linger", &send->linger,
              "How long a batch waits for more records. Default: 5ms");
  auto parse_bytes = [](std::string_view word) -> std::optional<int64_t> {
    std::optional<int64_t> bytes = ParseByteSize(word);
    bool fits = bytes.has_value() && *bytes >= kBatchBytesMin && *bytes <= kBatchBytesMax;
    return fits ? bytes : std::nullopt;
  };
  AddParsed(app, "--batch-bytes", &send->batch_bytes, parse_bytes, "BYTES", "size from 1k to 16m",
            "Size at which a batch is sent. Default: 256k");
}

void CommandTree::AddProduce() {
  auto flags = std::make_shared<ProduceFlags>();
  Produce* produce = &flags->produce;
  CLI::App* app = AddCommand(
      &app_, "produce", "Store records from standard input: lines, a template, or JSON lines",
      "  echo 'hello' | catamaran produce cars\n"
      "  printf 'car-1:12\\n' | catamaran produce cars --key-separator :\n"
      "  printf 'car-1\\t00ff\\n' | catamaran produce cars -f '%k\\t%v{hex}\\n'\n"
      "  echo '{\"key\":\"car-1\",\"value_base64\":\"AP8=\"}' | catamaran produce cars --json\n"
      "  catamaran produce cars --key photo --value-file car.jpg -H type=image/jpeg\n"
      "  catamaran produce log --keep-delimiter < /var/log/dpkg.log   # consume log -f %v gives\n"
      "                                                              # the same bytes back",
      [flags]() -> absl::StatusOr<Command> { return TakeProduce(*flags); });
  AddTopic(app, &produce->topic);
  CLI::Option* format = AddParsed(app, "-f,--format", &flags->format, ParseTemplate, "TEMPLATE",
                                  kTemplateForm, "What a record looks like, e.g. '%k\\t%v\\n'");
  CLI::Option* json = app->add_flag("--json", flags->json,
                                    "One JSON object a line, as consume -o json writes them");
  CLI::Option* separator =
      AddParsed(app, "--key-separator", &produce->reader.key_separator, ParseSeparator, "TEXT",
                "separator: it must not be empty; \\t, \\n, \\xHH are understood",
                "What stands between key and value of a line");
  CLI::Option* delimiter =
      AddParsed(app, "--delimiter", &produce->reader.delimiter, ParseSeparator, "TEXT",
                "delimiter: it must not be empty; \\n, \\0, \\xHH are understood",
                "What ends a record. Default: \\n");
  CLI::Option* keep = app->add_flag("--keep-delimiter", produce->reader.keep_delimiter,
                                    "Store the delimiter with the value");
  CLI::Option* value = app->add_option("--value", produce->value, "Store one record of this value");
  CLI::Option* file =
      app->add_option("--value-file", produce->value_file,
                      "Store one record: the bytes of this file (-: standard input)");
  CLI::Option* tombstone =
      app->add_flag("--tombstone", produce->tombstone, "Store one record with a null value");
  value->type_name("TEXT");
  file->type_name("FILE");
  files_.insert(file);
  app->add_option("-k,--key", produce->key, "Key of every record")->type_name("TEXT");
  AddRepeated(app, "-H,--header", &flags->headers, "NAME=VALUE", "A header of every record");
  AddParsed(
      app, "-p,--partition", &produce->partition,
      [](std::string_view word) -> std::optional<int32_t> {
        std::optional<int64_t> number = ParseInt64(word);
        if (!number.has_value() || *number < 0 || *number > INT32_MAX) return std::nullopt;
        return static_cast<int32_t>(*number);
      },
      "N", "partition number", "Where every record goes. Default: by key");
  app->add_flag("--receipts", produce->receipts,
                "Print number, partition and offset of each record when it is stored");
  AddSendOptions(app, &produce->send);
  // One way to say where records come from.
  for (CLI::Option* single : {value, file, tombstone}) {
    for (CLI::Option* other : {format, json, separator, delimiter, keep, value, file, tombstone}) {
      if (single != other) single->excludes(other);
    }
  }
  for (CLI::Option* option : {json, separator, delimiter, keep}) format->excludes(option);
  for (CLI::Option* option : {separator, delimiter, keep}) json->excludes(option);
}

void CommandTree::AddConsume() {
  auto consume = std::make_shared<Consume>();
  CLI::App* app = AddCommand(
      &app_, "consume",
      "Print records; goes on with new ones until Ctrl-C unless told where to stop",
      "  catamaran consume cars                            # all there are, then new ones\n"
      "  catamaran consume cars --offset start:end         # all there are\n"
      "  catamaran consume cars --offset -10 --num 10 -o wide\n"
      "  catamaran consume cars --offset @-1h -f '%T{iso} %k %v\\n'\n"
      "  catamaran consume cars --offset 100:200 -o json   # one JSON object a line",
      [consume]() -> absl::StatusOr<Command> { return Command(*consume); });
  AddTopic(app, &consume->topic);
  auto parse_range = [now = now_](std::string_view word) -> std::optional<OffsetRange> {
    absl::StatusOr<OffsetRange> range = ParseOffsetRange(word, now);
    return range.ok() ? std::optional<OffsetRange>(*range) : std::nullopt;
  };
  AddParsed(
      app, "--offset", &consume->offsets, parse_range, "RANGE",
      "place in a log: write start, end, N, -N, @time, or a range such as start:end whose end "
      "isn't before its start",
      "start, end, N, -N (the last N), @time, or a range A:B. Default: start");
  AddParsed(
      app, "-n,--num", &consume->num,
      [](std::string_view word) -> std::optional<int64_t> {
        std::optional<int64_t> count = ParseInt64(word);
        return count.has_value() && *count > 0 ? count : std::nullopt;
      },
      "N", "number of records: at least 1", "Stop after so many records");
  AddParsed(app, "-f,--format", &consume->format, ParseTemplate, "TEMPLATE", kTemplateForm,
            "How to print a record, e.g. '%p %o %k{hex} %v\\n'. Default: '%v\\n'");
  app->add_option("-p,--partition", consume->partitions, "Only this partition (repeatable)")
      ->type_name("N")
      ->allow_extra_args(false)
      ->check(CLI::NonNegativeNumber);
  AddChoice<client::IsolationLevel>(
      app, "--isolation", &consume->isolation,
      {{"read_committed", client::IsolationLevel::kReadCommitted},
       {"read_uncommitted", client::IsolationLevel::kReadUncommitted}},
      "Whether records of open and aborted transactions show. Default: read_committed");
}

void CommandTree::AddBench() {
  CLI::App* bench = app_.add_subcommand("bench", "Measure throughput and latency");
  bench->require_subcommand(1);
  bench->footer(
      "  catamaran bench produce speed --records 1000000 --size 100\n"
      "  catamaran bench consume speed");
  auto produce = std::make_shared<BenchProduce>();
  CLI::App* app = AddCommand(
      bench, "produce", "Store made-up records as fast as it goes, or at a rate",
      "  catamaran bench produce speed --records 1000000 --size 100\n"
      "  catamaran bench produce speed --rate 5000 --records 50000   # latency at a steady rate",
      [produce]() -> absl::StatusOr<Command> { return Command(*produce); });
  AddTopic(app, &produce->topic);
  AddCount(app, "-n,--records", &produce->records, 1, kCountMax, "How many. Default: 1000000");
  auto parse_size = [](std::string_view word) -> std::optional<int64_t> {
    std::optional<int64_t> bytes = ParseByteSize(word);
    return bytes.has_value() && *bytes <= kRecordBytesMax ? bytes : std::nullopt;
  };
  AddParsed(app, "-s,--size", &produce->size, parse_size, "BYTES", "size from 0 to 16m",
            "Bytes of a value. Default: 100");
  auto parse_rate = [](std::string_view word) -> std::optional<int64_t> {
    std::optional<int64_t> rate = ParseInt64(word);
    return rate.has_value() && *rate > 0 && *rate <= kRateMax ? rate : std::nullopt;
  };
  AddParsed(app, "--rate", &produce->rate, parse_rate, "N", "number of records a second",
            "Records a second; latency then counts from when a record was due");
  AddCount(app, "--keys", &produce->keys, 0, kCountMax, "Different keys. Default: 0, no key");
  AddParsed(
      app, "-p,--partition", &produce->partition,
      [](std::string_view word) -> std::optional<int32_t> {
        std::optional<int64_t> number = ParseInt64(word);
        if (!number.has_value() || *number < 0 || *number > INT32_MAX) return std::nullopt;
        return static_cast<int32_t>(*number);
      },
      "N", "partition number", "Where every record goes. Default: all partitions");
  AddSendOptions(app, &produce->send);

  auto consume = std::make_shared<BenchConsume>();
  app = AddCommand(bench, "consume", "Read records from the start as fast as it goes",
                   "  catamaran bench consume speed --records 1000000",
                   [consume]() -> absl::StatusOr<Command> { return Command(*consume); });
  AddTopic(app, &consume->topic);
  AddParsed(
      app, "-n,--records", &consume->records,
      [](std::string_view word) -> std::optional<int64_t> {
        std::optional<int64_t> count = ParseInt64(word);
        return count.has_value() && *count > 0 ? count : std::nullopt;
      },
      "N", "number of records: at least 1", "How many. Default: all there are");
}

void CommandTree::AddOthers() {
  CLI::App* cluster = app_.add_subcommand("cluster", "Look at the cluster");
  cluster->require_subcommand(1);
  cluster->footer("  catamaran cluster info");
  auto info = std::make_shared<ClusterInfo>();
  CLI::App* app = AddCommand(cluster, "info", "Show the cluster's brokers and counts",
                             "  catamaran cluster info -o json\n"
                             "  catamaran cluster info --wait 30s   # for a broker that starts",
                             [info]() -> absl::StatusOr<Command> { return Command(*info); });
  AddDuration(app, "--wait", &info->wait,
              "How long a broker may take to appear. Default: not at all");

  auto completion = std::make_shared<Completion>();
  app = AddCommand(&app_, "completion",
                   "Print a script for the shell's completion: always plain text, whatever -o says",
                   "  source <(catamaran completion bash)\n"
                   "  catamaran completion zsh > ~/.zfunc/_catamaran\n"
                   "  catamaran completion fish > ~/.config/fish/completions/catamaran.fish",
                   [completion]() -> absl::StatusOr<Command> { return Command(*completion); });
  CLI::Option* shell = app->add_option("SHELL", completion->shell, "bash, zsh or fish");
  shell->required()->type_name("");
  shell->check(CLI::IsMember(std::vector<std::string>{"bash", "zsh", "fish"}));
  choices_[shell] = {"bash", "zsh", "fish"};

  AddCommand(&app_, "version", "Print this program's version", "  catamaran version -o json",
             []() -> absl::StatusOr<Command> { return Command(Version{}); });
}

}  // namespace catamaran::cli
