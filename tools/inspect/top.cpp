#include "tools/inspect/top.h"

#include <sys/stat.h>

#include <cstdio>
#include <optional>

#include "tools/inspect/locate.h"
#include "tools/inspect/terminal.h"
#include "tools/inspect/view.h"

namespace millrace::inspect {
namespace {

/// The segment at a path, whichever file that is at the moment.
class Watched {
public:
    explicit Watched(std::string path) : path_{std::move(path)} {}

    /// Attaches anew if another file lies there now. False with `message` if none can be read; the
    /// last good one then stays, for its last words.
    bool refresh() {
        struct stat st {};
        if (::stat(path_.c_str(), &st) != 0) {
            message = path_ + " is gone";
            return false;
        }
        if (segment_ && st.st_ino == inode_ && st.st_dev == device_) {
            return true;
        }
        auto fresh = Segment::attach(path_, Segment::Mode::ReadOnly, message);
        if (!fresh) {
            return false;
        }
        segment_ = std::move(fresh).value();
        inode_ = st.st_ino;
        device_ = st.st_dev;
        names = account_names(read_view(*segment_).header.journal_dir);
        return true;
    }
    [[nodiscard]] const std::optional<Segment>& segment() const noexcept { return segment_; }

    std::string message;
    std::vector<std::string> names;

private:
    std::string path_;
    std::optional<Segment> segment_;
    ino_t inode_ = 0;
    dev_t device_ = 0;
};

std::string one_line(std::string json) {
    std::string out;
    bool at_start = false;
    for (const char c : json) {
        // Line breaks and indents of the dump; strings hold neither raw.
        if (c == '\n') {
            at_start = true;
        } else if (!at_start || c != ' ') {
            out += c;
            at_start = false;
        }
    }
    return out + "\n";
}

/// Draws over the last frame: no flicker, and nothing of a longer frame stays.
void draw(const std::string& text, bool interactive) {
    std::string out = interactive ? "\x1b[H" : "";
    for (const char c : text) {
        out += interactive && c == '\n' ? "\x1b[K\n" : std::string{c};
    }
    if (interactive && out.ends_with('\n')) {
        out.pop_back();  // the last line must not scroll the screen
    }
    out += interactive ? "\x1b[J" : "";
    std::fwrite(out.data(), 1, out.size(), stdout);
    std::fflush(stdout);
}

}  // namespace

int run_top(const TopOptions& options) {
    Watched watched{options.path};
    if (!watched.refresh()) {
        std::fprintf(stderr, "inspect: %s\n", watched.message.c_str());
        return 1;
    }
    Terminal terminal;
    std::optional<PipelineView> previous;
    Nanos drawn{};
    for (std::uint32_t frame = 1;; ++frame) {
        const bool there = watched.refresh();
        const Nanos now{monotonic_ns()};
        PipelineView v = read_view(*watched.segment());
        RenderOptions o;
        o.color = terminal.interactive();
        o.width = terminal.columns();
        o.height = terminal.lines();
        o.title = there ? options.path : watched.message;
        o.account_names = watched.names;
        const PipelineView* before = previous ? &*previous : nullptr;
        draw(options.json ? one_line(render_json(v, o)) : render_top(v, before, now - drawn, o),
             terminal.interactive() && !options.json);
        previous = std::move(v);
        drawn = now;
        if (frame == options.frames || terminal.wants_out(static_cast<int>(options.interval_ms))) {
            return 0;
        }
    }
}

}  // namespace millrace::inspect
