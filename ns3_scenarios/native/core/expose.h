// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_EXPOSE_H
#define COSIM_EXPOSE_H

namespace ns3::cosim
{

namespace // as the tags: a friend is declared in the namespace of its class
{

// For what ns-3 keeps private and offers no other way to. An explicit instantiation may name private members
// ([temp.spec]), and hands them to the function that its tag declares.
template <auto Member, class Tag>
struct Expose
{
    friend constexpr auto Get(Tag)
    {
        return Member;
    }
};

} // namespace

} // namespace ns3::cosim

/// `object->*Get(TAG{})` is the member from now on; for use in the unnamed namespace of `ns3::cosim`.
#define COSIM_EXPOSE(TAG, MEMBER)                                                                                      \
    struct TAG                                                                                                         \
    {                                                                                                                  \
        friend constexpr auto Get(TAG);                                                                                \
    };                                                                                                                 \
    template struct Expose<MEMBER, TAG>;

#endif
