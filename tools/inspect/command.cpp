#include "tools/inspect/command.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <numeric>

#include "tools/inspect/locate.h"

namespace millrace::inspect {
namespace {

using nlohmann::ordered_json;

std::string text_of(const ordered_json& json, int indent) {
    return json.dump(indent, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::size_t edit_distance(const std::string& a, const std::string& b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            const std::size_t swapped = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, swapped});
            diagonal = above;
        }
    }
    return row[b.size()];
}

sigset_t leaving_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

}  // namespace

void print(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}
void print_json(const ordered_json& json) {
    print(text_of(json, 2));
}
void print_json_line(const ordered_json& json) {
    print(text_of(json, -1));
    std::fflush(stdout);
}

int fail(Exit status, const std::string& message) {
    std::fprintf(stderr, "inspect: %s\n", message.c_str());
    return status;
}

int with_segment(const Common& common,
                 const std::function<int(const Segment&, const std::string&)>& f) {
    std::string message;
    const auto path = resolve(common.segment, common.dir, message);
    if (!path) {
        return fail(kNoSegment, message);
    }
    const auto segment = Segment::attach(path.value(), Segment::Mode::ReadOnly, message);
    if (!segment) {
        return fail(kNoSegment, message + " [" + std::string{to_string(segment.code())} + "]");
    }
    return f(segment.value(), path.value());
}

std::uint32_t ring_or_say(const Segment& segment, const std::string& path,
                          const std::string& name) {
    const std::uint32_t index = segment.find_ring(name);
    if (index != kNoId) {
        return index;
    }
    std::vector<std::string> names;
    std::string shown;
    std::uint32_t sessions = 0;
    for (std::uint32_t i = 0; i < segment.ring_count(); ++i) {
        names.emplace_back(view(segment.ring_entry(i).name));
        if (segment.ring_entry(i).kind == RingKind::Session) {
            ++sessions;
        } else {
            shown += (shown.empty() ? "" : ", ") + names.back();
        }
    }
    if (sessions > 0) {
        shown += ", session.0 to session." + std::to_string(sessions - 1);
    }
    const std::string near = closest(name, names);
    (void)fail(kUsage, path + " has no ring called " + name +
                           (near.empty() ? "" : "; did you mean " + near + "?") +
                           " There is: " + shown);
    return kNoId;
}

std::string closest(const std::string& word, const std::vector<std::string>& words) {
    std::string best;
    std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const std::string& w : words) {
        const std::size_t d = edit_distance(word, w);
        if (d < least) {
            least = d;
            best = w;
        }
    }
    return best;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
    std::string out;
    for (const std::string& w : words) {
        out += (out.empty() ? "" : between) + w;
    }
    return out;
}

std::int64_t parse_duration(const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    const std::string unit{end};
    const double ns = unit == "us"                  ? value * 1e3
                      : unit == "ms"                ? value * 1e6
                      : unit.empty() || unit == "s" ? value * 1e9
                      : unit == "m"                 ? value * 60e9
                      : unit == "h"                 ? value * 3600e9
                                                    : -1;
    constexpr double kMost = 1e18;  // 31 years; also refuses inf and nan
    return end != text.c_str() && ns >= 0 && ns <= kMost ? static_cast<std::int64_t>(ns) : -1;
}

Interruptible::Interruptible() {
    const sigset_t set = leaving_signals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

Interruptible::~Interruptible() {
    // Taken from the queue, or unblocking it would kill us after all.
    signalfd_siginfo pending{};
    while (signals_ >= 0 && ::read(signals_, &pending, sizeof pending) > 0) {
    }
    ::close(signals_);
    const sigset_t set = leaving_signals();
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

bool Interruptible::sleep_ms(int ms) {
    pollfd fd{signals_, POLLIN, 0};
    return ::poll(&fd, 1, ms) > 0;
}

}  // namespace millrace::inspect
