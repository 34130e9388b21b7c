#include "tools/inspect/top.h"

#include <cstdio>
#include <cstdlib>
#include <optional>

#include "tools/inspect/locate.h"
#include "tools/inspect/recent.h"
#include "tools/inspect/span.h"
#include "tools/inspect/top_screen.h"
#include "tools/inspect/verbs.h"
#include "tools/inspect/view.h"
#include "tools/inspect/watched.h"

namespace millrace::inspect {
namespace {

std::string one_line(const std::string& json) {
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

void show(const TopScreen::Picture& picture, const TopScreen& screen, const Terminal& terminal,
          const TopOptions& options, RenderOptions o) {
    o.width = terminal.columns();
    o.height = terminal.lines();
    if (options.json) {
        draw(one_line(render_json(picture.now, o, picture.before, picture.elapsed)), false);
    } else if (terminal.interactive()) {
        draw(screen.draw(picture, o), true);
    } else {
        draw(render_top(picture.now, picture.before, picture.elapsed, o), false);
    }
}

}  // namespace

int run_top(const TopOptions& options) {
    Watched watched{options.path};
    if (!watched.refresh()) {
        std::fprintf(stderr, "inspect: %s\n", watched.message.c_str());
        return kNoSegment;
    }
    Terminal terminal;
    TopScreen screen;
    RecentLatencies latencies;
    std::optional<PipelineView> previous;
    Nanos drawn{};
    for (std::uint32_t frame = 1;; ++frame) {
        const bool there = watched.refresh();
        const Segment& segment = *watched.segment();
        const Nanos now{monotonic_ns()};
        PipelineView v = read_view(segment);
        latencies.look(segment, now, v);
        RenderOptions o;
        o.color = terminal.interactive() && std::getenv("NO_COLOR") == nullptr;
        o.title = there ? options.path : watched.message;
        o.account_names = watched.names;
        const TopScreen::Picture picture{segment, v, previous ? &*previous : nullptr, now - drawn};
        show(picture, screen, terminal, options, o);
        if (frame == options.frames) {
            return kOk;
        }
        // A key is answered at once, from the same picture; the next one comes when it is due.
        const std::int64_t due = now.value + std::int64_t{options.interval_ms} * 1'000'000;
        for (std::int64_t left = due - monotonic_ns(); left > 0; left = due - monotonic_ns()) {
            const KeyPress key = terminal.wait(static_cast<int>(left / 1'000'000) + 1);
            if (screen.press(key, picture)) {
                return kOk;
            }
            if (key.key != Key::None) {
                show(picture, screen, terminal, options, o);
            }
        }
        previous = std::move(v);
        drawn = now;
    }
}

int run_top_verb(const TopVerbOptions& o) {
    std::string message;
    const auto path = resolve(o.common.segment, o.common.dir, message);
    if (!path) {
        return fail(kNoSegment, message);
    }
    return run_top({path.value(), o.interval_ms, o.frames, o.common.json});
}

}  // namespace millrace::inspect
