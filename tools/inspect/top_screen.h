// The screens of `inspect top` and how keys lead from one to the other. No terminal in here.
#pragma once

#include "tools/inspect/terminal.h"
#include "tools/inspect/view.h"

namespace millrace::inspect {

class TopScreen {
public:
    /// What to draw from: two pictures and the time between them.
    struct Picture {
        const Segment& segment;
        const PipelineView& now;
        const PipelineView* before;
        Nanos elapsed;
    };

    /// @return true if the user wants to leave.
    [[nodiscard]] bool press(const KeyPress& key, const Picture& picture);
    /// At most `options.height` lines, the last of which names the keys.
    [[nodiscard]] std::string draw(const Picture& picture, RenderOptions options) const;

private:
    enum class Screen { Main, Rings, Ring, Help };

    [[nodiscard]] std::string body(const Picture& picture, const RenderOptions& options) const;
    [[nodiscard]] std::string ring_body(const Picture& picture, const RenderOptions& o) const;
    void move(int by, std::size_t rings);
    void back();

    Screen screen_ = Screen::Main;
    RingOrder order_ = RingOrder::Fullest;
    std::size_t selected_ = 0;
    std::string ring_;
};

}  // namespace millrace::inspect
