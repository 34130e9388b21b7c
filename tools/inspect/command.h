// What the verbs share: how a segment is found, how things are said, exit statuses.
#pragma once

#include "shm/segment.h"

#include <nlohmann/json.hpp>

#include <functional>
#include <string>
#include <vector>

namespace millrace::inspect {

/// Exit statuses of `millrace inspect`, the same for every verb.
enum Exit : int {
    kOk = 0,
    kFound = 1,      // verify: something is wrong; diff: they differ; wait: not in time;
                     // pid: nobody; follow: the log is damaged
    kUsage = 2,      // wrong command line, a ring or stage that does not exist
    kNoSegment = 3,  // no segment (or journal) there, or none that can be read
};

/// Options that all verbs have.
struct Common {
    std::string dir = "/dev/shm";
    std::string segment;  // name or path; empty = the only one, or the only live one
    bool json = false;
};

void print(const std::string& text);
/// Indented, and with torn or foreign bytes in a text replaced rather than refused.
void print_json(const nlohmann::ordered_json& json);
/// The same on one line, flushed: for streams.
void print_json_line(const nlohmann::ordered_json& json);
/// `inspect: message` on stderr. @return `status`.
int fail(Exit status, const std::string& message);

/// Attaches read-only to the segment that is meant and hands it to `f(segment, path)`.
/// @return what f returns; kNoSegment, said on stderr.
int with_segment(const Common& common,
                 const std::function<int(const Segment&, const std::string& path)>& f);

/// Index of the ring called `name`, or kNoId: then stderr has what rings there are.
std::uint32_t ring_or_say(const Segment& segment, const std::string& path, const std::string& name);

/// The word of `words` that `word` is most likely a slip of; empty if none is near.
[[nodiscard]] std::string closest(const std::string& word, const std::vector<std::string>& words);
/// `a, b, c`.
[[nodiscard]] std::string joined(const std::vector<std::string>& words, const char* between = ", ");

/// "200ms", "5s", "2m", "1h", "750us" or a plain number of seconds, in ns; -1 if it is none.
[[nodiscard]] std::int64_t parse_duration(const std::string& text);

/// SIGINT, SIGTERM and SIGHUP end a wait in good order while this lives.
class Interruptible {
public:
    Interruptible();
    ~Interruptible();
    Interruptible(const Interruptible&) = delete;
    Interruptible& operator=(const Interruptible&) = delete;
    /// Sleeps. @return true if the user wants to leave.
    [[nodiscard]] bool sleep_ms(int ms);

private:
    int signals_ = -1;
};

}  // namespace millrace::inspect
