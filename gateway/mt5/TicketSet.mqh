// A set of tickets in ascending order. Tickets come mostly in ascending order, so that adding is
// cheap; the oldest are forgotten above a bound, and everything below them counts as known.

#define TICKETS_MAX 20000

class TicketSet
{
private:
    ulong items_[];
    int count_;
    ulong floor_;  // tickets up to this one count as known

    int lower_bound(const ulong ticket)
    {
        int low = 0;
        int high = count_;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (items_[middle] < ticket)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }

    void forget_oldest()
    {
        int gone = count_ / 2;
        floor_ = items_[gone - 1];
        for (int i = gone; i < count_; i++)
            items_[i - gone] = items_[i];
        count_ -= gone;
    }

public:
    TicketSet()
    {
        count_ = 0;
        floor_ = 0;
    }

    void clear()
    {
        count_ = 0;
        floor_ = 0;
    }

    ulong floor_ticket() { return floor_; }
    int count() { return count_; }
    ulong at(const int i) { return items_[i]; }

    void raise_floor(const ulong ticket)
    {
        if (ticket > floor_)
            floor_ = ticket;
    }

    bool contains(const ulong ticket)
    {
        if (ticket <= floor_)
            return true;
        int i = lower_bound(ticket);
        return i < count_ && items_[i] == ticket;
    }

    void add(const ulong ticket)
    {
        if (ticket == 0 || contains(ticket))
            return;
        if (count_ >= TICKETS_MAX)
            forget_oldest();
        if (ArraySize(items_) <= count_)
            ArrayResize(items_, count_ + 1, 1024);
        int at = lower_bound(ticket);
        for (int i = count_; i > at; i--)
            items_[i] = items_[i - 1];
        items_[at] = ticket;
        count_++;
    }
};
