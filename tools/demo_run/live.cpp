#include "tools/demo_run/live.h"

#include "shm/clock.h"

#include <fmt/format.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace millrace::demo {
namespace {

constexpr Nanos kRedraw = millis(200);
constexpr Nanos kLineEvery = seconds(2);
constexpr std::size_t kKillsShown = 8;
constexpr const char* kHome = "\x1b[H";
constexpr const char* kClearToEnd = "\x1b[0J";
constexpr const char* kEnter = "\x1b[?1049h\x1b[?25l";  // other screen, no cursor
constexpr const char* kLeave = "\x1b[?25h\x1b[?1049l";

void screen_size(int fd, unsigned& columns, unsigned& lines) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        columns = size.ws_col;
        lines = size.ws_row;
    }
}

}  // namespace

std::string describe(const Kill& k) {
    if (k.noticed_ns < 0 && k.running_ns < 0) {
        return k.stage + " killed";
    }
    return fmt::format("{} killed: noticed {}, running {}, first message {}", k.stage,
                       inspect::human_ns(k.noticed_ns), inspect::human_ns(k.running_ns),
                       inspect::human_ns(k.first_ns));
}

Live::Live(std::FILE* out, const Segment& segment, std::vector<std::string> account_names)
    : out_{out},
      segment_{segment},
      names_{std::move(account_names)},
      terminal_{::isatty(::fileno(out)) == 1},
      began_ns_{monotonic_ns()} {
    if (terminal_) {
        std::fputs(kEnter, out_);
    }
}

Live::~Live() {
    if (terminal_) {
        std::fputs(kLeave, out_);
        std::fflush(out_);
    }
}

void Live::tick(const Source& source, const std::vector<Kill>& kills, const std::string& phase) {
    const std::int64_t now = monotonic_ns();
    const Nanos elapsed{now - drawn_ns_};
    if (elapsed < (terminal_ ? kRedraw : kLineEvery) && drawn_ns_ != 0) {
        return;
    }
    drawn_ns_ = now;
    const SourceCounts& c = source.counts();
    const std::string head = fmt::format("{:5.1f} s  {}  signals {} accepted {} open {}",
                                         static_cast<double>(now - began_ns_) / 1e9, phase, c.sent,
                                         c.accepted, source.lives().open_count());
    inspect::PipelineView view = inspect::read_view(segment_);
    if (terminal_) {
        draw(view, elapsed, head, kills);
    } else {
        line(view, head, kills);
    }
    previous_ = std::move(view);
}

void Live::draw(const inspect::PipelineView& view, Nanos elapsed, const std::string& head,
                const std::vector<Kill>& kills) {
    inspect::RenderOptions options;
    unsigned lines = 24;
    screen_size(::fileno(out_), options.width, lines);
    const auto shown = static_cast<unsigned>(std::min(kills.size(), kKillsShown));
    options.height = lines > shown + 4 ? lines - shown - 2 : 4;
    options.color = true;
    options.title = "millrace demo  " + head;
    options.account_names = names_;
    std::string page =
        inspect::render_top(view, previous_ ? &*previous_ : nullptr, elapsed, options);
    for (std::size_t i = kills.size() - shown; i < kills.size(); ++i) {
        page += describe(kills[i]).substr(0, options.width) + "\n";
    }
    std::string drawn = kHome;
    for (const char c : page) {
        drawn += c == '\n' ? std::string{"\x1b[0K\r\n"} : std::string{c};
    }
    std::fputs((drawn + kClearToEnd).c_str(), out_);
    std::fflush(out_);
}

void Live::line(const inspect::PipelineView& view, const std::string& head,
                const std::vector<Kill>& kills) {
    for (; kills_told_ < kills.size(); ++kills_told_) {
        if (kills[kills_told_].all_back_ns < 0 && kills_told_ + 1 == kills.size()) {
            break;  // still being measured
        }
        std::fprintf(out_, "         %s\n", describe(kills[kills_told_]).c_str());
    }
    std::size_t up = 0;
    for (const inspect::SessionStat& s : view.sessions) {
        up += s.link == static_cast<std::uint32_t>(LinkState::Up) ? 1 : 0;
    }
    const std::string text =
        fmt::format("{}  orders sent {} filled {} in doubt {}  accounts up {}/{}  durable lag {}",
                    head, view.core.orders_sent, view.core.orders_filled, view.core.in_doubt, up,
                    view.sessions.size(), view.core.durable_lag());
    std::fprintf(out_, "%s\n", text.c_str());
    std::fflush(out_);
}

}  // namespace millrace::demo
